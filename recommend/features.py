"""The features that candidates are ranked by, each with a name.

Eight kinds of likeness between the account's items and the candidates are each a matrix, an item of the account by a
candidate, and are all summed up in the same ways; the rest is said of the item, of the account and its present
visit, or of what the account did with this very candidate. Nothing is read but the parts, which know nothing from
their moment on, and the history, which ends before `now_us`.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from recommend.arrays import Floats, floats
from recommend.candidates import SOURCES, Candidates
from recommend.history import History
from recommend.kinds import Kinds
from recommend.leanings import CHANCES, chances
from recommend.likeness import LIKENESSES, likenesses
from recommend.own import ACCOUNT_FEATURES, OWN_FEATURES, account, own
from recommend.parts import Parts
from recommend.popular import ITEM_FEATURES

_SOURCE_FEATURES = tuple(f"source_{name}" for name in SOURCES)
NAMES: Sequence[str] = (
    *LIKENESSES, *CHANCES, *OWN_FEATURES, *_SOURCE_FEATURES, *ACCOUNT_FEATURES, *ITEM_FEATURES
)  # fmt: skip


def features(
    parts: Parts,
    kinds: Kinds,
    history: History,
    candidates: Candidates,
    now_us: int,
    *,
    preferred: Sequence[int] = (),
) -> Floats:
    """Candidate by NAMES, stored name by name."""
    items = candidates.item
    factors = floats(parts.embeddings.item_factors[items])
    rows = np.empty((len(NAMES), len(items)), np.float32)
    likely, chance, own_rows, source, account_rows, item = _blocks(rows)
    likenesses(parts, history, items, factors, now_us, likely)
    chance[:] = chances(parts, history, items, now_us)
    own_rows[:] = own(parts, kinds, history, items, factors, now_us, preferred)
    source[:] = candidates.rank
    account_rows[:] = account(parts, kinds, history, now_us)[:, None]
    item[:] = parts.snapshot.features[items].T
    return rows.T


def _blocks(rows: Floats) -> Sequence[Floats]:
    """The rows of each kind of features, in the order of NAMES."""
    kinds = (LIKENESSES, CHANCES, OWN_FEATURES, _SOURCE_FEATURES, ACCOUNT_FEATURES, ITEM_FEATURES)
    return [rows[start:end] for start, end in pairwise(accumulate(map(len, kinds), initial=0))]
