"""Parts as they would be on each day of the past, had their counts been taken the night before."""

from dataclasses import replace

from recommend.actions import ActionTable
from recommend.arrays import DAY_US
from recommend.parts import Parts
from recommend.popular import snapshot


class Nights:
    """A question is asked of the counts of the midnight (UTC) before it: of actions that came before it, only.

    The rest of the parts costs far more than counting, and stays what it is.
    """

    def __init__(self, parts: Parts, actions: ActionTable) -> None:
        """`actions` may be later than what the parts know; of each day only those before it are counted."""
        self._parts = parts
        self._actions = actions
        self._by_day: dict[int, Parts] = {}

    def at(self, now_us: int) -> Parts:
        midnight_us = now_us // DAY_US * DAY_US
        if midnight_us not in self._by_day:
            counted = snapshot(self._actions, self._parts.items, self._parts.moves.group, midnight_us)
            self._by_day[midnight_us] = replace(self._parts, snapshot=counted)
        return self._by_day[midnight_us]
