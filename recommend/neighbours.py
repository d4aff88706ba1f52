"""Item-to-item lists from what accounts did: what goes together, and what comes next."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from recommend import lookup
from recommend.actions import ActionTable
from recommend.arrays import DAY_US, NONE, Codes, Floats, floats
from recommend.best import best_of

_ROWS_AT_ONCE = 4_096
_STEPS = 5
_STEP_DECAY = 0.6
_GAP_DAYS = 1.0
_SHRINK = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Of each item its nearest others, best first."""

    item: Codes
    """Item by place; NONE behind the last."""
    score: Floats
    """As `item`, above 0; 0 behind the last."""

    def block(self, anchors: Codes, candidates: Codes) -> Floats:
        """Anchor by candidate: the scores, 0 where a list does not have the candidate. Candidates are distinct."""
        return lookup.block(self.item[anchors], floats(self.score[anchors]), candidates)

    def summed(self, anchors: Codes, weights: Floats, newest: int, candidates: Codes) -> Floats:
        """Of `block` for each row of `weights` the sum over the anchors, then the first anchor's, and the highest of
        the `newest` first ones; each by candidate.
        """
        return lookup.summed(self.item[anchors], floats(self.score[anchors]), weights, newest, candidates)

    def best(self, anchors: Codes, weights: Floats, count: int) -> tuple[Codes, Floats]:
        """Of all items those with the highest weighted sum over the anchors' lists; best first."""
        items, sums = lookup.summed_up(self.item[anchors], floats(self.score[anchors]), weights)
        return best_of(items, sums, count)


def fit_together(actions: ActionTable, length: int, half_life_days: float) -> Lists:
    """Cosine of items over accounts; an account with much to it counts less for each pair, old actions count less."""
    values = actions.kinds.interest[actions.kind] > 0
    kept = actions.only(values)
    if not len(kept):
        return _empty(len(actions.item_ids), length)
    age_days = (kept.at_us.max() - kept.at_us) / DAY_US
    matrix = csr_matrix(
        (0.5 ** (age_days / half_life_days), (kept.account, kept.item)), (len(kept.account_ids), len(kept.item_ids))
    ).astype(np.float32)
    matrix.sum_duplicates()
    matrix.data = np.minimum(matrix.data, 1)
    rows = np.maximum(np.diff(matrix.indptr), 1)
    return cosine_lists(csr_matrix(diags_array((1 / np.sqrt(rows)).astype(np.float32)) @ matrix), length, 0)


def count_moves(actions: ActionTable) -> "csr_matrix[np.float32]":
    """First by second item: how often accounts moved on from the one to the other.

    A step further counts `_STEP_DECAY` of the one before, and moves far apart in time less.
    """
    kept = actions.only(actions.kinds.interest[actions.kind] > 0)
    moves = np.ones(len(kept), np.bool_)
    moves[1:] = (kept.item[1:] != kept.item[:-1]) | (kept.account[1:] != kept.account[:-1])
    kept = kept.only(moves)
    size = len(kept.item_ids)
    firsts, seconds, values = [], [], []
    for step in range(1, _STEPS + 1):
        first, second = slice(None, -step), slice(step, None)
        same = (kept.account[first] == kept.account[second]) & (kept.item[first] != kept.item[second])
        gap_days = (kept.at_us[second] - kept.at_us[first])[same] / DAY_US
        firsts.append(kept.item[first][same])
        seconds.append(kept.item[second][same])
        values.append(floats(_STEP_DECAY ** (step - 1) / (1 + gap_days / _GAP_DAYS)))
    counts = csr_matrix((np.concatenate(values), (np.concatenate(firsts), np.concatenate(seconds))), (size, size))
    counts.sum_duplicates()
    return counts


def fit_then(moves: "csr_matrix[np.float32]", length: int, tempering: float) -> Lists:
    """The share of moves from the first item that go to the second.

    `tempering` is the power of the second item's own number of moves that is divided by: 0 keeps what is popular
    anyway, 1 removes it.
    """
    leaving, arriving = (np.asarray(moves.sum(axis=axis)).ravel() for axis in (1, 0))
    shares = diags_array(1 / (leaving + _SHRINK)) @ moves @ diags_array((arriving + 1) ** -tempering)
    return cut(csr_matrix(shares).astype(np.float32), length)


def cosine_lists(matrix: "csr_matrix[np.float32]", length: int, shrink: float) -> Lists:
    """Cosine of the columns; `shrink` is added to the norms' product, which lowers what rests on few rows."""
    columns = csr_matrix(matrix.T)
    norms = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=1)).ravel())
    parts = []
    for start in range(0, columns.shape[0], _ROWS_AT_ONCE):
        product = csr_matrix(columns[start : start + _ROWS_AT_ONCE] @ matrix)
        rows = np.repeat(np.arange(start, start + product.shape[0]), np.diff(product.indptr))
        product.data /= np.maximum(norms[rows] * norms[product.indices] + shrink, 1e-9)
        product.data[product.indices == rows] = 0
        parts.append(cut(product, length))
    return Lists(np.concatenate([one.item for one in parts]), np.concatenate([one.score for one in parts]))


def cut(matrix: "csr_matrix[np.float32]", length: int) -> Lists:
    """Each row's highest values, best first."""
    matrix.eliminate_zeros()
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), sizes)
    order = np.lexsort((-matrix.data, rows))
    place = np.arange(len(rows)) - matrix.indptr[rows]
    keep = place < length
    lists = _empty(matrix.shape[0], length)
    lists.item[rows[keep], place[keep]] = matrix.indices[order][keep]
    lists.score[rows[keep], place[keep]] = matrix.data[order][keep]
    return lists


def _empty(size: int, length: int) -> Lists:
    return Lists(np.full((size, length), NONE, np.int32), np.zeros((size, length), np.float32))
