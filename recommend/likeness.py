"""How like candidates are to the account's items: eight kinds of likeness, each summed up in the same ways.

Each kind is a matrix, an item of the account by a candidate, that is never made where its sums can be had without it:
the weighted sum of products is the product with the weighted sum.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recommend.arrays import DAY_US, Codes, Floats, Moments, floats
from recommend.compiled import compiled
from recommend.history import History
from recommend.neighbours import Lists
from recommend.parts import Parts

_ANCHORS = 100
_NEWEST = 10
_FADING = 0.8
_SUMS = ("all", "recent", "week", "visit", "bought", "rejected")
_WAYS = (*_SUMS, "last", "most")
"""The sums, the likeness to the newest item, and the most like of the _NEWEST ones."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    parts: Parts
    anchors: Codes
    """The account's items, newest first."""
    weights: Floats
    """Way of _SUMS by anchor."""
    items: Codes
    factors: Floats
    """Item by factor of the embeddings."""


def _listed(lists: Callable[[Parts], Lists]) -> Callable[[_Asked], Floats]:
    return lambda asked: lists(asked.parts).summed(asked.anchors, asked.weights, _NEWEST, asked.items)


def _transitions(asked: _Asked) -> Floats:
    leading, following = asked.parts.transitions.leading, asked.parts.transitions.following
    return _of_products(asked.weights, floats(leading[asked.anchors]), floats(following[asked.items]))


def _linear(asked: _Asked) -> Floats:
    if not len(asked.parts.linear.weights):
        return np.zeros((len(_WAYS), 1), np.float32)
    block = asked.parts.linear.block(asked.anchors, asked.items)
    return np.concatenate([asked.weights @ block, block[:1], block[:_NEWEST].max(axis=0, keepdims=True)])


def _embeddings(asked: _Asked) -> Floats:
    """Cosines."""
    anchors = floats(asked.parts.embeddings.item_factors[asked.anchors])
    anchors = floats(anchors / _lengths(anchors)[:, None])
    return floats(_of_products(asked.weights, anchors, asked.factors) / _lengths(asked.factors))


def _content(asked: _Asked) -> Floats:
    vectors = asked.parts.content.item_vectors
    return _of_products(asked.weights, floats(vectors[asked.anchors]), floats(vectors[asked.items]))


def _grouped(groups: Callable[[Parts], Codes]) -> Callable[[_Asked], Floats]:
    """1 for items of the same group."""

    def summed(asked: _Asked) -> Floats:
        of_items = groups(asked.parts)
        return _of_groups(asked.weights, of_items[asked.anchors], of_items[asked.items], _NEWEST).T

    return summed


_KINDS: Mapping[str, Callable[[_Asked], Floats]] = {
    "together": _listed(lambda parts: parts.together),
    "then": _listed(lambda parts: parts.then),
    "transition": _transitions,
    "linear": _linear,
    "embedding": _embeddings,
    "content": _content,
    "category": _grouped(lambda parts: parts.items.category),
    "subcategory": _grouped(lambda parts: parts.items.subcategory),
}
LIKENESSES: Sequence[str] = tuple(f"{kind}_{way}" for kind in _KINDS for way in _WAYS)


def likenesses(parts: Parts, history: History, items: Codes, factors: Floats, now_us: int, rows: Floats) -> None:
    """Fills `rows`, LIKENESSES by candidate. `factors` are the candidates' embeddings."""
    anchors = history.item[:_ANCHORS]
    if not len(anchors):
        rows[:] = 0
        return
    asked = _Asked(parts, anchors, _weights(history, now_us), items, factors)
    for place, kind in enumerate(_KINDS.values()):
        rows[place * len(_WAYS) : (place + 1) * len(_WAYS)] = kind(asked)


def _weights(history: History, now_us: int) -> Floats:
    """Way of _SUMS by item of the account."""
    items = slice(None, _ANCHORS)
    return _of_ways(
        history.interest[items], history.item_us[items], history.in_visit[items], history.bought[items],
        history.weight[items], now_us,
    )  # fmt: skip


@compiled
def _of_ways(
    interest: Floats, at_us: Moments, in_visit: Floats, bought: Floats, weight: Floats, now_us: int
) -> Floats:
    ways, faded = np.zeros((len(_SUMS), len(interest)), np.float32), 1.0
    for item in range(len(interest)):
        ways[0, item] = interest[item]
        ways[1, item] = faded if interest[item] > 0 else 0
        ways[2, item] = 0.5 ** (max(now_us - at_us[item], 0) / (7 * DAY_US)) * interest[item]
        ways[3, item] = in_visit[item]
        ways[4, item] = bought[item]
        ways[5, item] = max(-weight[item], np.float32(0))
        faded *= _FADING
    return ways


def _lengths(vectors: Floats) -> Floats:
    return floats(np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-9))


def _of_products(weights: Floats, anchors: Floats, items: Floats) -> Floats:
    """Way by item, of the products of the anchors' vectors with those of the items."""
    products = np.concatenate([weights @ anchors, anchors[:_NEWEST]]) @ items.T
    found = products[: len(_WAYS)]
    if len(found) < len(_WAYS):  # There is one anchor.
        return np.concatenate([products, products[-1:]])
    products[len(_SUMS) :].max(axis=0, out=products[len(_SUMS) + 1])
    return found


@compiled
def _of_groups(weights: Floats, of_anchors: Codes, of_items: Codes, newest: int) -> Floats:
    """Item by way, of 1 where anchor and item are of the same group and 0 elsewhere; below 0 is no group."""
    ways, groups = len(weights), 1
    for group in of_anchors:
        groups = max(groups, group + 1)
    by_group = np.zeros((groups, ways + 2), np.float32)
    for anchor in range(len(of_anchors)):
        group = of_anchors[anchor]
        if group < 0:
            continue
        for way in range(ways):
            by_group[group, way] += weights[way, anchor]
        if anchor == 0:
            by_group[group, ways] = 1
        if anchor < newest:
            by_group[group, ways + 1] = 1
    sums = np.zeros((len(of_items), ways + 2), np.float32)
    for place in range(len(of_items)):
        if 0 <= of_items[place] < groups:
            for way in range(ways + 2):
                sums[place, way] = by_group[of_items[place], way]
    return sums
