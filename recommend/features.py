"""The features that candidates are ranked by, each with a name.

Eight kinds of likeness between the account's items and the candidates are each a matrix, an item of the account by a
candidate, and are all summed up in the same ways; the rest is said of the item, of the account and its present
visit, or of what the account did with this very candidate. Nothing is read but the parts, which know nothing from
their moment on, and the history, which ends before `now_us`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recommend.arrays import DAY_US, HOUR_US, Codes, Floats, floats
from recommend.candidates import SOURCES, Candidates
from recommend.embeddings import Transitions
from recommend.history import History
from recommend.kinds import Kinds
from recommend.leanings import CHANCES, chances
from recommend.parts import Parts
from recommend.popular import ITEM_FEATURES

_ANCHORS = 100
_LIKENESSES: Mapping[str, Callable[[Parts, Codes, Codes], Floats]] = {
    "together": lambda parts, anchors, items: parts.together.block(anchors, items),
    "then": lambda parts, anchors, items: parts.then.block(anchors, items),
    "transition": lambda parts, anchors, items: _products(parts.transitions, anchors, items),
    "linear": lambda parts, anchors, items: parts.linear.block(anchors, items),
    "embedding": lambda parts, anchors, items: _cosines(parts.embeddings.item_factors, anchors, items),
    "content": lambda parts, anchors, items: (
        floats(parts.content.item_vectors[anchors]) @ floats(parts.content.item_vectors[items]).T
    ),
    "category": lambda parts, anchors, items: _same(parts.items.category, anchors, items),
    "subcategory": lambda parts, anchors, items: _same(parts.items.subcategory, anchors, items),
}
_SUMS = ("all", "recent", "week", "visit", "bought", "rejected")
_LIKENESS_FEATURES = tuple(f"{likeness}_{way}" for likeness in _LIKENESSES for way in (*_SUMS, "last", "most"))
_OWN_FEATURES = (
    "embedding_dot", "embedding_dot_recent", "own_times", "own_carts", "own_purchases", "own_rejections",
    "own_days_since", "own_in_visit", "price_by_account", "price_by_last", "preferred_category",
)  # fmt: skip
_SOURCE_FEATURES = tuple(f"source_{name}" for name in SOURCES)
_ACCOUNT_FEATURES = (
    "account_actions", "account_items", "account_visit_actions", "account_hours_since", "account_days_known",
    "account_actions_1d", "account_actions_7d", "account_weight", "account_purchases", "account_rejections",
    "account_categories", "account_price", "hour", "weekday",
)  # fmt: skip
NAMES: Sequence[str] = (
    *_LIKENESS_FEATURES, *CHANCES, *_OWN_FEATURES, *_SOURCE_FEATURES, *_ACCOUNT_FEATURES, *ITEM_FEATURES
)  # fmt: skip
_NEVER_DAYS = 3_650.0


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
    rows = np.empty((len(NAMES), len(candidates.item)), np.float32)
    anchors = history.item[:_ANCHORS]
    weights = _anchor_weights(history, now_us)
    end = 0
    for likeness in _LIKENESSES.values():
        start, end = end, end + len(_SUMS) + 2
        if len(anchors):
            block = likeness(parts, anchors, candidates.item)
            rows[start : end - 2] = weights @ block
            rows[end - 2] = block[0]
            rows[end - 1] = block[:10].max(axis=0)
        else:
            rows[start:end] = 0
    rows[end : end + len(CHANCES)] = chances(parts, history, candidates.item, now_us)
    end += len(CHANCES)
    own = _own(parts, kinds, history, candidates.item, now_us, preferred)
    rows[end : end + len(own)] = own
    end += len(own)
    rows[end : end + len(SOURCES)] = candidates.rank
    end += len(SOURCES)
    account = _account(parts, kinds, history, now_us)
    rows[end : end + len(account)] = account[:, None]
    end += len(account)
    rows[end:] = parts.snapshot.features[candidates.item].T
    return rows.T


def _anchor_weights(history: History, now_us: int) -> Floats:
    """Way of _SUMS by item of the account."""
    items = slice(None, _ANCHORS)
    interest = history.interest[items]
    recent = 0.8 ** np.arange(len(interest)) * (interest > 0)
    week = 0.5 ** (np.maximum(now_us - history.item_us[items], 0) / (7 * DAY_US)) * interest
    rejected = np.maximum(-history.weight[items], 0)
    ways = (interest, recent, week, history.in_visit[items], history.bought[items], rejected)
    return np.stack(ways).astype(np.float32)


def _cosines(factors: Floats, anchors: Codes, items: Codes) -> Floats:
    return _unit(floats(factors[anchors])) @ _unit(floats(factors[items])).T


def _unit(vectors: Floats) -> Floats:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return floats(vectors / np.maximum(lengths, 1e-9)[:, None])


def _products(transitions: Transitions, anchors: Codes, items: Codes) -> Floats:
    return floats(floats(transitions.leading[anchors]) @ floats(transitions.following[items]).T)


def _same(groups: Codes, anchors: Codes, items: Codes) -> Floats:
    of_anchor = groups[anchors][:, None]
    return floats((of_anchor == groups[items][None]) & (of_anchor >= 0))


def _own(parts: Parts, kinds: Kinds, history: History, items: Codes, now_us: int, preferred: Sequence[int]) -> Floats:
    """_OWN_FEATURES by candidate."""
    rows = np.zeros((len(_OWN_FEATURES), len(items)), np.float32)
    price = np.log(np.maximum(parts.items.price[items], 0.01))
    rows[10] = np.isin(parts.items.category[items], preferred) if len(preferred) else 0
    rows[6] = _NEVER_DAYS
    if not len(history):
        return rows
    factors = parts.embeddings.item_factors[items].astype(np.float32)
    rows[0] = factors @ parts.embeddings.fold_in(history.item, history.interest)
    rows[1] = factors @ parts.embeddings.fold_in(history.item[:10], history.interest[:10])
    order = np.argsort(items)
    place = np.searchsorted(items[order], history.action_item).clip(max=len(items) - 1)
    column = order[place]
    hit = items[column] == history.action_item
    column, kind = column[hit], history.action_kind[hit]
    size = len(items)
    rows[2] = np.bincount(column, minlength=size)
    rows[3] = np.bincount(column, kinds.is_cart[kind], size)
    rows[4] = np.bincount(column, kinds.is_purchase[kind], size)
    rows[5] = np.bincount(column, kinds.weight[kind] < 0, size)
    rows[6][column[::-1]] = np.maximum(now_us - history.action_us[hit][::-1], 0) / DAY_US
    rows[7] = np.bincount(column, history.action_in_visit[hit], size)
    paid = np.log(np.maximum(parts.items.price[history.item], 0.01))
    told = np.isfinite(paid)
    if told.any():
        rows[8] = np.nan_to_num(price - paid[told].mean())
        rows[9] = np.nan_to_num(price - paid[told][0])
    return rows


def _account(parts: Parts, kinds: Kinds, history: History, now_us: int) -> Floats:
    """_ACCOUNT_FEATURES."""
    hour = now_us / HOUR_US % 24
    weekday = now_us // DAY_US % 7
    if not len(history):
        return np.array([0] * 3 + [24 * _NEVER_DAYS] + [0] * 8 + [hour, weekday], np.float32)
    since_us = np.maximum(now_us - history.action_us, 0)  # Apps' clocks may be ahead of ours.
    kind = history.action_kind
    price = parts.items.price[history.item]
    told = price[np.isfinite(price)]
    return np.array(
        [
            np.log1p(len(kind)), np.log1p(len(history)), history.action_in_visit.sum(),
            np.log1p(since_us[0] / HOUR_US), since_us[-1] / DAY_US,
            np.log1p((since_us < DAY_US).sum()), np.log1p((since_us < 7 * DAY_US).sum()),
            kinds.weight[kind].mean(), kinds.is_purchase[kind].sum(), (kinds.weight[kind] < 0).sum(),
            len(np.unique(parts.items.category[history.item])), np.log(told.mean()) if told.size else 0,
            hour, weekday,
        ],
        np.float32,
    )  # fmt: skip
