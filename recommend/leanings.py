"""What an account's history says of groups of items: which it turns to, and where its visit goes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommend.arrays import NONE, Codes, Floats, Moments, Places
from recommend.compiled import compiled
from recommend.history import SAME_VISIT_US, History
from recommend.moves import Moves
from recommend.parts import Parts

_STAYING = 0.15
"""What a look at one more item of a group says, where turning to the group says 1."""
_RECENT = 0.9
"""A turn counts so much less with each one after it."""
_VISIT = 0.6
"""A look of the visit says so much less with each one after it."""
_GOING_ON = 0.85
"""While a visit goes on: what its newest item leads to, beside what the account comes for."""
_OWN = 0.9
"""When the account comes anew: what it came for before, beside what everybody comes for."""
_PRIOR = 1.0
"""So many turns weigh as much as what everybody turns to."""
_SPLIT = 0.6
"""So much of a turn is given to the groups that its group leads to: a taste may be split over several."""

CHANCES: Sequence[str] = (
    "lean_account", "lean_recent", "lean_visit", "lean_last",
    "chance_account", "chance_recent", "chance_visit", "chance_after_last", "chance_mixed", "chance_by_best",
)  # fmt: skip
"""The last is by the best item's of its group and its moves, candidate or not: features of a candidate do not depend
on the others.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Leanings:
    """Chances of groups; each sums to 1."""

    account: Floats
    """To be turned to when the account comes anew."""
    recent: Floats
    """The same, by its newest visits for the most part."""
    visit: Floats
    """To come next in the visit of the newest action."""
    last: int | None
    """The newest item that was of interest."""


def leanings(moves: Moves, history: History) -> Leanings:
    by_group, last = _leant(
        moves.group,
        moves.onward,
        moves.arriving,
        history.action_item,
        history.action_us,
        history.action_interest,
        history.action_in_visit,
    )
    return Leanings(by_group[0], by_group[1], by_group[2], None if last == NONE else int(last))


def chances(parts: Parts, history: History, items: Codes, now_us: int) -> Floats:
    """CHANCES by candidate: of its group, of itself by its share of the group, and both sides mixed."""
    moves, share = parts.moves, parts.snapshot.share_of_group(items)
    leaning, best_share = leanings(moves, history), parts.snapshot.best_share
    by_group = np.stack([leaning.account, leaning.recent, leaning.visit, moves.arriving, moves.arriving])
    if leaning.last is None:
        return _mixed(by_group, moves.group[items], share, np.zeros(len(items), np.float32), best_share, 0.0, False)
    by_group[3] = moves.left[leaning.last] * moves.onward[moves.group[leaning.last]]
    beyond = moves.beyond_groups(leaning.last, items)
    goes_on = bool(now_us - int(history.action_us[0]) < SAME_VISIT_US)
    most_beyond = float(moves.next.score[leaning.last, 0])
    return _mixed(by_group, moves.group[items], share, beyond, best_share, most_beyond, goes_on)


@compiled
def _turns(item: Codes, interest: Floats) -> Places:
    """The places of actions of interest, but of several about one item in a row the oldest alone."""
    kept, count, previous = np.empty(len(item), np.intp), 0, NONE
    for place in range(len(item)):
        if interest[place] > 0:
            count -= count > 0 and item[place] == previous
            kept[count], previous = place, item[place]
            count += 1
    return kept[:count]


@compiled
def _leant(
    group_of: Codes,
    onward: Floats,
    arriving: Floats,
    item: Codes,
    at_us: Moments,
    interest: Floats,
    in_visit: Floats,
) -> tuple[Floats, int]:
    """Account, recent and visit of Leanings, each by group, and the newest item; NONE without any."""
    groups, kept = len(arriving), _turns(item, interest)
    leant, count = np.empty((3, groups), np.float32), len(kept)
    if count == 0:
        for group in range(groups):
            leant[0, group] = leant[1, group] = leant[2, group] = arriving[group]
        return leant, NONE
    sums = np.zeros((3, groups), np.float64)
    faded, looked, visited, turns, recent_turns = 1.0, 1.0, 0.0, 0.0, 0.0
    for place in range(count):
        group, turned = group_of[item[kept[place]]], True
        if place + 1 < count:
            before = kept[place + 1]
            turned = group != group_of[item[before]] or at_us[kept[place]] - at_us[before] >= SAME_VISIT_US
        says = 1.0 if turned else _STAYING
        share = in_visit[kept[place]] * looked
        _add(sums[0], group, says, onward[group])
        _add(sums[1], group, says * faded, onward[group])
        turns, recent_turns, visited = turns + says, recent_turns + says * faded, visited + share
        for other in range(groups):
            sums[2, other] += share * onward[group, other]
        faded *= _RECENT if turned else 1.0
        looked *= _VISIT
    # Rows of `onward`, and `arriving`, sum to 1.
    for group in range(groups):
        leant[0, group] = (sums[0, group] + _PRIOR * arriving[group]) / (turns + _PRIOR)
        leant[1, group] = (sums[1, group] + _PRIOR * arriving[group]) / (recent_turns + _PRIOR)
        leant[2, group] = sums[2, group] / max(visited, 1e-9)
    return leant, item[kept[0]]


@compiled
def _add(sums: NDArray[np.float64], group: int, says: float, onward: Floats) -> None:
    """A turn to the group, a part of which is given to the groups that it leads to."""
    sums[group] += (1 - _SPLIT) * says
    for other in range(len(onward)):
        sums[other] += _SPLIT * says * onward[other]


@compiled
def _mixed(
    by_group: Floats,
    group: Codes,
    share: Floats,
    beyond: Floats,
    best_share: Floats,
    most_beyond: float,
    goes_on: bool,
) -> Floats:
    """CHANCES by candidate. `by_group`: account, recent, visit, what the newest item leads to, and arriving.

    `group`, `share` of it and what is `beyond` groups are of each candidate; `best_share` is of each group,
    `most_beyond` of all items.
    """
    rows, groups = np.empty((len(CHANCES), len(group)), np.float32), by_group.shape[1]
    mixed, weight = np.empty(groups, np.float32), np.float32(_GOING_ON if goes_on else 0)
    best = weight * np.float32(most_beyond)
    for one in range(groups):
        if goes_on:
            mixed[one] = _GOING_ON * by_group[3, one] + (1 - _GOING_ON) * by_group[0, one]
        else:
            mixed[one] = _OWN * by_group[0, one] + (1 - _OWN) * by_group[4, one]
        best = max(best, mixed[one] * best_share[one])
    for column in range(len(group)):
        of, part = group[column], share[column]
        for way in range(4):
            rows[way, column] = by_group[way, of]
        for way in range(3):
            rows[4 + way, column] = by_group[way, of] * part
        rows[7, column] = by_group[3, of] * part + beyond[column]
        rows[8, column] = mixed[of] * part + weight * beyond[column]
        rows[9, column] = rows[8, column] / best
    return rows
