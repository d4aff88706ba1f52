"""The bound on what is accepted and not yet fanned out."""

import asyncio
import logging
import math
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.errors import FootfallError
from intake.log import IntakeLog

_log = logging.getLogger(__name__)

_SAMPLE_EVERY_S = 1.0
_LONGEST_WAIT_S = 60


@dataclass(frozen=True, slots=True)
class BacklogSample:
    events: int
    oldest: datetime | None


class Backlog:
    """Counts the backlog once a second, and adds what this process accepted since.

    With several API processes the limit can be overrun by what the others accept within that second.
    """

    def __init__(self, log: IntakeLog, *, limit_events: int) -> None:
        self._intake_log = log
        self._limit = limit_events
        self._since_sample = 0
        self._released_per_s = 0.0
        self.sample = BacklogSample(0, None)

    @property
    def events(self) -> int:
        return self.sample.events + self._since_sample

    def oldest_age_s(self) -> float:
        """Seconds since the oldest of them was accepted; 0 when there is none."""
        oldest = self.sample.oldest
        return 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())

    def added(self, events: int) -> None:
        self._since_sample += events

    def retry_after_s(self, waiting_events: int, more: int) -> int | None:
        """None while `more` events still fit in; else in how many seconds they are likely to.

        `waiting_events` are those of this process that wait for their commit.
        """
        excess = self.events + waiting_events + more - self._limit
        if excess <= 0:
            return None
        if self._released_per_s <= 0:
            return _LONGEST_WAIT_S
        return min(_LONGEST_WAIT_S, max(1, math.ceil(excess / self._released_per_s)))

    async def keep_sampling(self) -> None:
        """Samples until cancelled; while PostgreSQL can't answer, the last sample stands."""
        while True:
            try:
                await self.take_sample()
            except FootfallError as error:
                _log.warning("the backlog could not be counted: %s", error)
            await asyncio.sleep(_SAMPLE_EVERY_S)

    async def take_sample(self) -> None:
        before, added_before = self.sample.events, self._since_sample
        events, oldest = await self._intake_log.backlog()
        self._since_sample -= added_before  # what came while the count ran stays on top: too high, never too low
        self._released_per_s = max(0.0, (before + added_before - events) / _SAMPLE_EVERY_S)
        self.sample = BacklogSample(events, oldest)
