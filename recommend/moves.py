"""Where a visit goes next: a class-based bigram model of items (Brown et al. 1992).

Items are put into groups by who deals with them and by their words. What follows an item is what its group leads to,
and within that group what is dealt with these days; and, beyond that, what follows it more often than so expected.
"""

from dataclasses import dataclass

import faiss
import numpy as np
from scipy.sparse import csr_matrix

from recommend.actions import ActionTable
from recommend.arrays import Codes, Floats, floats
from recommend.excess import excess
from recommend.history import SAME_VISIT_US
from recommend.neighbours import Lists, cut

_MOST_GROUPS = 1_000
_ITERATIONS = 15
_LIST_LENGTH = 40
_LEAST_COUNT = 0.3
_LEAST_LEFT = 0.5
_GROUP_PRIOR = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    group: Codes
    """Of each item."""
    onward: Floats
    """Group by group: the share of moves from the first that go to the second; each row sums to 1."""
    arriving: Floats
    """The share of all moves that go to each group; sums to 1."""
    next: Lists
    """Of each item what follows it in a visit more often than groups tell: the share of its moves."""
    left: Floats
    """Of each item the share of its moves that groups tell."""

    def beyond_groups(self, item: int, candidates: Codes) -> Floats:
        """Of each candidate by how much it follows the item more often than their groups tell."""
        return floats(self.next.block(np.array([item], np.int32), candidates)[0])


def fit_moves(actions: ActionTable, vectors: Floats, threads: int) -> Moves:
    """`vectors`: item by dimension, by whose likeness items are grouped."""
    groups = max(1, min(round(len(actions.item_ids) ** 0.5), _MOST_GROUPS))
    return moves_between(actions, _grouped(vectors, groups, threads))


def moves_between(actions: ActionTable, group: Codes) -> Moves:
    """With these groups, one of each item."""
    size = len(group)
    first, second = _steps(actions)
    counts = csr_matrix((np.ones(len(first), np.float32), (first, second)), (size, size))
    counts.sum_duplicates()
    arriving, onward = _between_groups(group, first, second)
    beyond = _beyond_groups(counts, group, onward)
    left = np.maximum(1 - np.asarray(beyond.sum(axis=1)).ravel(), _LEAST_LEFT)
    return Moves(group, onward, arriving, cut(beyond, _LIST_LENGTH), floats(left))


def _beyond_groups(counts: "csr_matrix[np.float32]", group: Codes, onward: Floats) -> "csr_matrix[np.float32]":
    """Of moves from each item the share to each other one that is above what their groups let expect."""
    leaving = np.repeat(np.asarray(counts.sum(axis=1)).ravel(), np.diff(counts.indptr))
    arriving = np.bincount(counts.indices, counts.data, len(group)) + _LEAST_COUNT
    share = arriving / np.bincount(group, arriving)[group]
    first = np.repeat(np.arange(len(group)), np.diff(counts.indptr))
    expected = leaving * onward[group[first], group[counts.indices]] * share[counts.indices]
    data = excess(counts.data, floats(expected)) / leaving
    return csr_matrix((floats(data), counts.indices, counts.indptr), counts.shape)


def _steps(actions: ActionTable) -> tuple[Codes, Codes]:
    """Items, and those that the same account turned to next in the same visit."""
    kept = actions.only(actions.kinds.interest[actions.kind] > 0)
    is_step = (
        (kept.account[1:] == kept.account[:-1])
        & (kept.item[1:] != kept.item[:-1])
        & (kept.at_us[1:] - kept.at_us[:-1] < SAME_VISIT_US)
    )
    return kept.item[:-1][is_step], kept.item[1:][is_step]


def _between_groups(group: Codes, first: Codes, second: Codes) -> tuple[Floats, Floats]:
    size = int(group.max(initial=0)) + 1
    counts = np.bincount(group[first].astype(np.int64) * size + group[second], minlength=size * size)
    counts = counts.reshape(size, size).astype(np.float64)
    arriving = (counts.sum(axis=0) + 1) / (counts.sum() + size)
    smoothed = counts + _GROUP_PRIOR * arriving
    return floats(arriving), floats(smoothed / smoothed.sum(axis=1, keepdims=True))


def _grouped(vectors: Floats, count: int, threads: int) -> Codes:
    """Spherical k-means; what has a vector of zeros goes where the library puts it."""
    means = faiss.Kmeans(
        vectors.shape[1], count, niter=_ITERATIONS, seed=0, spherical=True, min_points_per_centroid=1
    )
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        means.train(vectors)
        _, nearest = means.index.search(vectors, 1)
    finally:
        faiss.omp_set_num_threads(before)
    group: Codes = nearest[:, 0].astype(np.int32)
    return group
