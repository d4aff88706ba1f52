"""From ranked candidates to what is shown: what may be shown at all, freshness, diversity, exploration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from domain.actions import Hidden
from domain.errors import InvalidInputError
from domain.experiment import Plan
from recommend.arrays import DAY_US, NONE, Codes, Floats, Moments, Places, floats


@dataclass(frozen=True, slots=True)
class Rules:
    """The shop's own rules; every one can be turned off."""

    exclude_bought: bool = True
    exclude_seen: bool = False
    in_stock: bool = False
    """Only what is in stock."""
    blocked: frozenset[str] = field(default_factory=frozenset)
    """Item ids that are never shown."""
    blocked_categories: frozenset[str] = field(default_factory=frozenset)
    """Nor are items of these."""
    freshness: float = 0.1
    """By how much the chance of an item of age 0 is raised: 0.1 is a tenth."""
    freshness_half_life_days: float = 7.0
    diversity: float = 0.1
    """0: by chance alone. 1: as like as a candidate is to one placed above it, so much of its chance is lost."""
    share_of_category: float = 0.5
    """At most this share of an answer is of one category, as long as others are left; 1 turns it off."""
    exploration: float = 0.05
    """The share of places that are given to new items."""
    new_days: float = 14.0
    """An item is new until it is so old, unless …"""
    new_accounts: int = 5
    """… so many accounts have dealt with it."""


BOUNDS: Mapping[str, tuple[float, float]] = {
    "freshness": (0, 10),
    "freshness_half_life_days": (0.01, 3_650),
    "diversity": (0, 1),
    "share_of_category": (0.01, 1),
    "exploration": (0, 1),
}
"""Rules that may be other ones in a single answer, as an experiment has it: from what to what."""


def check_rules(plan: Plan) -> None:
    """Whether an answer can be made by the rules of each arm.

    Raises:
        InvalidInputError: there is no such rule, or its value is out of bounds; the message says where.

    """
    for arm in plan.arms:
        for name, value in arm.rules.items():
            if name not in BOUNDS:
                raise InvalidInputError(f"arm {arm.name!r}: there is no rule {name!r}; there are {', '.join(BOUNDS)}")
            low, high = BOUNDS[name]
            if not low <= value <= high:
                raise InvalidInputError(
                    f"arm {arm.name!r}: {name} is {value:g}, and must be from {low:g} to {high:g}"
                )


def fresh(chances: Floats, created_us: Moments, now_us: int, rules: Rules) -> Floats:
    """Chances, raised for what is new; items whose age is not told stay as they are."""
    age_days = np.maximum(now_us - created_us, 0) / DAY_US
    boost = rules.freshness * 0.5 ** (age_days / rules.freshness_half_life_days)
    return floats(chances * (1 + np.where(created_us > 0, boost, 0)))


def diverse(scores: Floats, vectors: Floats, codes: Codes, category: Codes, count: int, rules: Rules) -> Places:
    """The places of `count` of them, best first: maximal marginal relevance (Carbonell, Goldstein 1998), a product of
    chance and unlikeness, with a cap on each category.

    `vectors`, by code, are of length 1 or 0. What a cap leaves out fills up the end when nothing else is left.
    """
    left = np.argsort(-scores, kind="stable")[: max(4 * count, 100)]
    most = max(1, round(rules.share_of_category * count))
    of_left = floats(vectors[codes[left]])
    likeness = of_left @ of_left.T
    chosen = _choose(scores[left], likeness, category[left], count, most, np.float32(rules.diversity))
    return np.asarray(left[chosen], np.intp)


def _choose_one_by_one(
    scores: Floats, likeness: Floats, category: Codes, count: int, most: int, diversity: float
) -> Places:
    """See `diverse`; places in these arrays. `most` of a category."""
    size = len(scores)
    most_like = np.zeros(size, np.float32)
    is_open, is_capped = np.ones(size, np.bool_), np.zeros(size, np.bool_)
    chosen = np.empty(min(count, size), np.intp)
    for turn in range(len(chosen)):
        best, highest = -1, -np.inf
        while best < 0:
            for one in range(size):
                value = scores[one] * (1 - diversity * most_like[one])
                if is_open[one] and not is_capped[one] and value > highest:
                    best, highest = one, value
            if best < 0:  # Nothing is left but what was capped.
                is_capped[:] = False
                most = size
        chosen[turn] = best
        is_open[best] = False
        most_like = np.maximum(most_like, likeness[best])
        if category[best] != NONE and (category[chosen[: turn + 1]] == category[best]).sum() >= most:
            is_capped |= category == category[best]
    return chosen


_choose: Any = numba.njit(nogil=True)(_choose_one_by_one)


def unwanted(hidden: Hidden, rules: Rules) -> frozenset[str]:
    """Ids that this account is not shown."""
    opinions = hidden.hidden | hidden.disliked | hidden.not_interested | rules.blocked
    return opinions | hidden.bought if rules.exclude_bought else opinions
