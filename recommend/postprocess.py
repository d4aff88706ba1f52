"""From ranked candidates to what is shown: what may be shown at all, freshness, diversity, exploration."""

import numpy as np

from domain.actions import Hidden
from recommend.arrays import DAY_US, NONE, Codes, Floats, Moments, Places, floats
from recommend.best import best_places
from recommend.compiled import compiled
from recommend.rules import Rules


def fresh(chances: Floats, created_us: Moments, now_us: int, rules: Rules) -> Floats:
    """Chances, raised for what is new; items whose age is not told stay as they are."""
    return _raised(chances, created_us, now_us, rules.freshness, rules.freshness_half_life_days)


@compiled
def _raised(chances: Floats, created_us: Moments, now_us: int, freshness: float, half_life_days: float) -> Floats:
    raised = chances.astype(np.float32)
    for place in range(len(raised)):
        if created_us[place] > 0:
            age_days = max(now_us - created_us[place], 0) / DAY_US
            raised[place] *= 1 + freshness * 0.5 ** (age_days / half_life_days)
    return raised


def diverse(scores: Floats, vectors: Floats, codes: Codes, category: Codes, count: int, rules: Rules) -> Places:
    """The places of `count` of them, best first: maximal marginal relevance (Carbonell, Goldstein 1998), a product of
    chance and unlikeness, with a cap on each category.

    `vectors`, by code, are of length 1 or 0. What a cap leaves out fills up the end when nothing else is left.
    """
    left = best_places(scores, max(4 * count, 100))
    most = max(1, round(rules.share_of_category * count))
    of_left = floats(vectors[codes[left]])
    likeness = of_left @ of_left.T
    chosen = _choose(scores[left], likeness, category[left], count, most, rules.diversity)
    return np.asarray(left[chosen], np.intp)


@compiled
def _choose(scores: Floats, likeness: Floats, category: Codes, count: int, most: int, diversity: float) -> Places:
    """See `diverse`; places in these arrays. `most` of a category."""
    size, lost = len(scores), np.float32(diversity)
    most_like = np.zeros(size, np.float32)
    is_open, is_capped = np.ones(size, np.bool_), np.zeros(size, np.bool_)
    chosen = np.empty(min(count, size), np.intp)
    for turn in range(len(chosen)):
        best, highest = -1, -np.inf
        while best < 0:
            for one in range(size):
                value = scores[one] * (1 - lost * most_like[one])
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


def unwanted(hidden: Hidden, rules: Rules) -> frozenset[str]:
    """Ids that this account is not shown."""
    ids = hidden.rejected | rules.blocked
    return ids | hidden.bought if rules.exclude_bought else ids
