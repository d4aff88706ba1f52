"""Questions that the past asks and answers: what did an account deal with next, after all that it had done?"""

from dataclasses import dataclass

import numpy as np

from recommend.actions import ActionTable
from recommend.arrays import HOUR_US, NONE, Codes, Flags
from recommend.history import History, history_before


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A moment of an account: what it did before, and the place in the table of what it did then."""

    place: int
    history: History
    now_us: int


def question(actions: ActionTable, place: int) -> Question:
    return Question(place, history_before(actions, place), int(actions.at_us[place]))


def is_new_interest(actions: ActionTable) -> Flags:
    """Marks the actions that a recommendation could have led to: of interest, and the account's first with the item
    in its visit. What follows on the same page says nothing of what to show.
    """
    without_session = NONE - 1 - actions.at_us // HOUR_US
    visit = np.where(actions.session != NONE, actions.session.astype(np.int64), without_session)
    order = np.lexsort((np.arange(len(actions)), actions.item, visit, actions.account))
    left, right = order[:-1], order[1:]
    again = np.zeros(len(actions), np.bool_)
    again[right] = (
        (actions.account[left] == actions.account[right])
        & (visit[left] == visit[right])
        & (actions.item[left] == actions.item[right])
    )
    interest: Flags = (actions.kinds.interest[actions.kind] > 0) & ~again
    return interest


def is_first_with_item(actions: ActionTable) -> Flags:
    """Marks an account's first action with each item."""
    pair = actions.account.astype(np.int64) * len(actions.item_ids) + actions.item
    flags = np.zeros(len(actions), np.bool_)
    flags[np.unique(pair, return_index=True)[1]] = True
    return flags


def known_items(actions: ActionTable, place: int) -> Codes:
    """What the account dealt with before the action at `place`, each once, newest first."""
    newest_first = actions.item[int(actions.starts[actions.account[place]]) : place][::-1]
    _, first = np.unique(newest_first, return_index=True)
    return newest_first[np.sort(first)]
