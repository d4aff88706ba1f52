"""What one account did before a moment, as sources and features read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.actions import Action
from recommend.actions import ActionTable
from recommend.arrays import NONE, SECOND_US, Codes, Flags, Floats, Moments, Places, floats
from recommend.compiled import compiled
from recommend.kinds import Kinds

LONGEST = 200
"""Actions of an account that are looked at, the newest."""
SAME_VISIT_US = 30 * 60 * SECOND_US
"""Actions without a session are of one visit while no gap between neighbours is longer."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Newest first. The second half is by item: each once, where it was last acted on."""

    action_item: Codes
    action_kind: Codes
    action_us: Moments
    action_interest: Floats
    action_in_visit: Floats
    """1: in the visit of the newest action, else 0."""
    item: Codes
    item_us: Moments
    """When it was last acted on."""
    weight: Floats
    """Sum of the weights of its actions: for it, or against it."""
    interest: Floats
    bought: Floats
    in_visit: Floats

    def __len__(self) -> int:
        return len(self.item)


def history_before(actions: ActionTable, place: int, longest: int = LONGEST) -> History:
    """What the account of the action at `place` did before it; neither that action nor any later one."""
    first = max(int(actions.starts[actions.account[place]]), place - longest)
    newest_first = slice(place - 1, first - 1 if first else None, -1) if place > first else slice(0, 0)
    return history_of_arrays(
        actions.kinds,
        actions.item[newest_first],
        actions.kind[newest_first],
        actions.at_us[newest_first],
        actions.session[newest_first],
    )


def history_of_signals(signals: Sequence[Action], kinds: Kinds, item_codes: Mapping[str, int]) -> History:
    """From signals, newest first; items and event types that the model does not know are left out."""
    known = [one for one in signals[:LONGEST] if one.item_id in item_codes and one.event_type in kinds.codes]
    sessions: dict[str, int] = {}
    return history_of_arrays(
        kinds,
        np.fromiter((item_codes[one.item_id] for one in known), np.int32, len(known)),
        np.fromiter((kinds.codes[one.event_type] for one in known), np.int32, len(known)),
        np.fromiter((one.occurred_at for one in known), np.int64, len(known)),
        np.fromiter(
            (NONE if one.session_id is None else sessions.setdefault(one.session_id, len(sessions)) for one in known),
            np.int32,
            len(known),
        ),
    )


def just_viewed(kinds: Kinds, item: int, now_us: int) -> History:
    """Of somebody who viewed this item now, and nothing else ever."""
    codes = (np.array([item], np.int32), np.array([kinds.codes["view"]], np.int32))
    return history_of_arrays(kinds, *codes, np.array([now_us], np.int64), np.full(1, NONE, np.int32))


def history_of_arrays(kinds: Kinds, item: Codes, kind: Codes, at_us: Moments, session: Codes) -> History:
    if not len(item):
        in_visit = np.zeros(0, np.float32)
    elif session[0] != NONE:
        in_visit = (session == session[0]).astype(np.float32)
    else:
        in_visit = _without_session(at_us)
    interest = kinds.interest[kind]
    places, sums = _by_item(item, kinds.weight[kind], interest, kinds.is_purchase[kind], in_visit)
    weight, summed_interest, bought, visited = floats(sums[:, : len(places)])
    return History(
        item, kind, at_us, interest, in_visit,
        item[places], at_us[places], weight, summed_interest, bought, np.minimum(visited, 1),
    )  # fmt: skip


@compiled
def _by_item(
    item: Codes, weight: Floats, interest: Floats, is_purchase: Flags, in_visit: Floats
) -> tuple[Places, NDArray[np.float64]]:
    """Of each item the place of its newest action, and four sums over its actions; items by these places. The sums
    have more columns than that.

    There are LONGEST actions at the most: to look through the items found so far is quicker than a table.
    """
    newest, sums = np.empty(len(item), np.intp), np.zeros((4, len(item)))
    size = 0
    for place in range(len(item)):
        column = 0
        while column < size and item[newest[column]] != item[place]:
            column += 1
        if column == size:
            newest[size] = place
            size += 1
        sums[0, column] += weight[place]
        sums[1, column] += interest[place]
        sums[2, column] += is_purchase[place]
        sums[3, column] += in_visit[place]
    return newest[:size], sums


def _without_session(at_us: Moments) -> Floats:
    """An action is of the newest one's visit while no gap between neighbours is over half an hour."""
    gaps = at_us[:-1] - at_us[1:]
    return np.concatenate(([True], np.logical_and.accumulate(gaps < SAME_VISIT_US))).astype(np.float32)
