"""What an account's history says of groups of items: which it turns to, and where its visit goes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommend.arrays import Codes, Floats, floats
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
    of_interest = np.flatnonzero(history.action_interest > 0)
    item, at_us = history.action_item[of_interest], history.action_us[of_interest]
    in_visit = history.action_in_visit[of_interest]
    moved = np.ones(len(item), np.bool_)
    moved[:-1] = item[:-1] != item[1:]
    item, at_us, in_visit = item[moved], at_us[moved], in_visit[moved]
    group = moves.group[item]
    if not len(group):
        return Leanings(moves.arriving, moves.arriving, moves.arriving, None)
    turned = np.ones(len(group), np.bool_)
    turned[:-1] = (group[:-1] != group[1:]) | (at_us[:-1] - at_us[1:] >= SAME_VISIT_US)
    says = floats(np.where(turned, 1, _STAYING))
    faded = floats(_RECENT ** (np.cumsum(turned) - turned))
    onward = in_visit * _VISIT ** np.arange(len(group))
    visit = floats(onward / max(onward.sum(), 1e-9)) @ moves.onward[group]
    return Leanings(_turned_to(moves, group, says), _turned_to(moves, group, says * faded), visit, int(item[0]))


def _turned_to(moves: Moves, group: Codes, says: Floats) -> Floats:
    turns = floats(np.bincount(group, says, len(moves.arriving)))
    counts = (1 - _SPLIT) * turns + _SPLIT * (turns @ moves.onward) + _PRIOR * moves.arriving
    return floats(counts / counts.sum())


def chances(parts: Parts, history: History, items: Codes, now_us: int) -> Floats:
    """CHANCES by candidate: of its group, of itself by its share of the group, and both sides mixed."""
    moves, share = parts.moves, parts.snapshot.share_of_group(items)
    leaning, group = leanings(moves, history), moves.group[items]
    by_group = [leaning.account[group], leaning.recent[group], leaning.visit[group]]
    by_item = [one * share for one in by_group]
    goes_on = leaning.last is not None and now_us - int(history.action_us[0]) < SAME_VISIT_US
    if leaning.last is None:
        onward, beyond, most_beyond = moves.arriving, floats(np.zeros(len(items))), 0.0
    else:
        onward = moves.left[leaning.last] * moves.onward[moves.group[leaning.last]]
        beyond = moves.beyond_groups(leaning.last, items)
        most_beyond = float(moves.next.score[leaning.last, 0])
    if goes_on:
        groups, weight = _GOING_ON * onward + (1 - _GOING_ON) * leaning.account, _GOING_ON
    else:
        groups, weight = _OWN * leaning.account + (1 - _OWN) * moves.arriving, 0.0
    mixed = groups[group] * share + weight * beyond
    best = max(float((groups * parts.snapshot.best_share()).max()), weight * most_beyond)
    after_last = onward[group] * share + beyond
    return floats(np.stack([*by_group, onward[group], *by_item, after_last, mixed, mixed / best]))
