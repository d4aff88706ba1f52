"""What compiled loops compute, written down with whole arrays: slower, and easier to see to be right."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recommend.arrays import DAY_US, HOUR_US, NONE, Codes, Floats, floats
from recommend.candidates import SOURCES, Candidates, Source, Sourced
from recommend.history import SAME_VISIT_US, History
from recommend.kinds import Kinds
from recommend.moves import Moves
from recommend.neighbours import Lists
from recommend.parts import Parts

_Block = Callable[[Parts, Codes, Codes], Floats]


def block(lists: Lists, anchors: Codes, items: Codes) -> Floats:
    found = np.zeros((len(anchors), len(items)), np.float32)
    for row, anchor in zip(found, anchors.tolist(), strict=True):
        listed = dict(zip(lists.item[anchor].tolist(), lists.score[anchor].tolist(), strict=True))
        row[:] = [listed.get(item, 0) for item in items.tolist()]
    return found


def unit(vectors: Floats) -> Floats:
    return floats(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def same(groups: Codes, anchors: Codes, items: Codes) -> Floats:
    of_anchors = groups[anchors][:, None]
    return floats((of_anchors == groups[items][None]) & (of_anchors >= 0))


LIKENESSES: Mapping[str, _Block] = {
    "together": lambda parts, anchors, items: block(parts.together, anchors, items),
    "then": lambda parts, anchors, items: block(parts.then, anchors, items),
    "transition": lambda parts, anchors, items: (
        parts.transitions.leading[anchors] @ parts.transitions.following[items].T
    ),
    "linear": lambda parts, anchors, items: parts.linear.block(anchors, items),
    "embedding": lambda parts, anchors, items: (
        unit(parts.embeddings.item_factors[anchors]) @ unit(parts.embeddings.item_factors[items]).T
    ),
    "content": lambda parts, anchors, items: (
        parts.content.item_vectors[anchors] @ parts.content.item_vectors[items].T
    ),
    "category": lambda parts, anchors, items: same(parts.items.category, anchors, items),
    "subcategory": lambda parts, anchors, items: same(parts.items.subcategory, anchors, items),
}


def likenesses(parts: Parts, history: History, items: Codes, now_us: int) -> Mapping[str, Floats]:
    """By name of the feature."""
    week = 0.5 ** (np.maximum(now_us - history.item_us, 0) / (7 * DAY_US)) * history.interest
    weights = {
        "all": history.interest,
        "recent": 0.8 ** np.arange(len(history)) * (history.interest > 0),
        "week": week,
        "visit": history.in_visit,
        "bought": history.bought,
        "rejected": np.maximum(-history.weight, 0),
    }
    found: dict[str, Floats] = {}
    for name, likeness in LIKENESSES.items():
        of_all = likeness(parts, history.item[:100], items)
        found |= {f"{name}_{way}": floats(one[:100]) @ of_all for way, one in weights.items()}
        found |= {f"{name}_last": of_all[0], f"{name}_most": of_all[:10].max(axis=0)}
    return found


def own(parts: Parts, kinds: Kinds, history: History, items: Codes, now_us: int) -> Mapping[str, Floats]:
    """By name of the feature."""
    factors = parts.embeddings.item_factors[items]
    which = [history.action_item == item for item in items.tolist()]
    price, paid = np.log(parts.items.price[items]), np.log(parts.items.price[history.item])
    told = paid[np.isfinite(paid)]

    def counted(values: Floats) -> Floats:
        return floats([values[one].sum() for one in which])

    kind = history.action_kind
    return {
        "embedding_dot": factors @ taste(parts, history.item, history.interest),
        "embedding_dot_recent": factors @ taste(parts, history.item[:10], history.interest[:10]),
        "own_times": counted(floats(np.ones(len(kind)))),
        "own_carts": counted(floats(kinds.is_cart[kind])),
        "own_purchases": counted(floats(kinds.is_purchase[kind])),
        "own_rejections": counted(floats(kinds.weight[kind] < 0)),
        "own_days_since": floats(
            [(now_us - history.action_us[one].max()) / DAY_US if one.any() else 3_650 for one in which]
        ),
        "own_in_visit": counted(history.action_in_visit),
        "price_by_account": np.nan_to_num(price - told.mean()),
        "price_by_last": np.nan_to_num(price - told[0]),
    }


def taste(parts: Parts, items: Codes, interest: Floats) -> Floats:
    embeddings = parts.embeddings
    factors, weight = embeddings.item_factors[items], embeddings.alpha * interest
    left = embeddings.gram + factors.T @ (factors * weight[:, None])
    return floats(np.linalg.solve(left.astype(np.float64), factors.T @ (1 + weight)))


def account(parts: Parts, kinds: Kinds, history: History, now_us: int) -> Mapping[str, float]:
    """By name of the feature."""
    since_us, kind, price = now_us - history.action_us, history.action_kind, parts.items.price[history.item]
    return {
        "account_actions": np.log1p(len(kind)),
        "account_items": np.log1p(len(history)),
        "account_visit_actions": history.action_in_visit.sum(),
        "account_hours_since": np.log1p(since_us[0] / HOUR_US),
        "account_days_known": since_us[-1] / DAY_US,
        "account_actions_1d": np.log1p((since_us < DAY_US).sum()),
        "account_actions_7d": np.log1p((since_us < 7 * DAY_US).sum()),
        "account_weight": kinds.weight[kind].mean(),
        "account_purchases": kinds.is_purchase[kind].sum(),
        "account_rejections": (kinds.weight[kind] < 0).sum(),
        "account_categories": len(set(parts.items.category[history.item].tolist())),
        "account_price": np.log(np.nanmean(price)),
        "hour": now_us / HOUR_US % 24,
        "weekday": now_us // DAY_US % 7,
    }


def leanings(moves: Moves, history: History) -> tuple[Floats, Floats, Floats]:
    """Account, recent and visit."""
    of_interest = np.flatnonzero(history.action_interest > 0)
    item, at_us = history.action_item[of_interest], history.action_us[of_interest]
    moved = np.append(item[:-1] != item[1:], [True])
    item, at_us, in_visit = item[moved], at_us[moved], history.action_in_visit[of_interest][moved]
    group = moves.group[item]
    turned = np.append((group[:-1] != group[1:]) | (at_us[:-1] - at_us[1:] >= SAME_VISIT_US), [True])
    says, turns_after = np.where(turned, 1, 0.15), np.cumsum(turned) - turned
    onward = in_visit * 0.6 ** np.arange(len(group))

    def turned_to(weights: Floats) -> Floats:
        turns = np.bincount(group, weights, len(moves.arriving))
        counts = 0.4 * turns + 0.6 * (turns @ moves.onward) + moves.arriving
        return floats(counts / counts.sum())

    visit = onward / max(onward.sum(), 1e-9) @ moves.onward[group]
    return turned_to(floats(says)), turned_to(floats(says * 0.9**turns_after)), floats(visit)


def merge(sourced: Mapping[Source, Sourced]) -> Candidates:
    items = np.unique(np.concatenate([one.item for one in sourced.values()]))
    rank = np.zeros((len(SOURCES), len(items)), np.float32)
    for row, name in zip(rank, SOURCES, strict=True):
        row[np.searchsorted(items, sourced[name].item)] = 1 / (1 + np.arange(len(sourced[name].item)))
    return Candidates(items, rank.argmax(axis=0).astype(np.int32), rank, rank.sum(axis=0))


def best(lists: Lists, anchors: Codes, weights: Floats, count: int) -> tuple[Codes, Floats]:
    """By the sum of the weighted scores, equal ones by code; those above 0."""
    listed, scores = lists.item[anchors].ravel(), (lists.score[anchors] * weights[:, None]).ravel()
    items, inverse = np.unique(listed, return_inverse=True)
    sums = floats(np.bincount(inverse, scores))
    sums[items == NONE] = 0
    order = np.argsort(-sums, kind="stable")[:count]
    order = order[sums[order] > 0]
    return items[order], sums[order]


def united(found: Sequence[tuple[Codes, Floats]], count: int) -> tuple[Codes, Floats]:
    """The highest of the sums of what was found, each by its highest."""
    items, inverse = np.unique(np.concatenate([one for one, _ in found]), return_inverse=True)
    sums = floats(np.bincount(inverse, np.concatenate([one / max(one.max(initial=0), 1e-9) for _, one in found])))
    order = np.argsort(-sums, kind="stable")[:count]
    return items[order], sums[order]
