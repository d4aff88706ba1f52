"""Records what was read, as often as it takes."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import Message

from domain.errors import CorruptBlockError, FootfallError
from domain.ids import id_text
from doors.kafka.dead_letters import DeadLetter, DeadLetters
from doors.kafka.metrics import FAILURES, MESSAGES
from intake.entrance import BacklogFullError, Entrance
from intake.log import NewInteraction

_log = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_SAID_EVERY_S = 30.0

Partition = tuple[str, int]
"""A topic, and the number of its partition."""


@dataclass(slots=True)
class Portion:
    """Messages that were read one after the other."""

    events: list[NewInteraction] = field(default_factory=list)
    origins: list[Message] = field(default_factory=list)
    """Of each event, the message that it was in."""
    dead: list[DeadLetter] = field(default_factory=list)
    ends: dict[Partition, int] = field(default_factory=dict)
    """Where whoever has the partition goes on once all of this is recorded."""
    messages: Counter[str] = field(default_factory=Counter)
    """How many of each topic."""


class Recorder:
    def __init__(self, entrance: Entrance, letters: DeadLetters, *, most_events: int) -> None:
        """`most_events` are recorded at once."""
        self._entrance = entrance
        self._letters = letters
        self._most = most_events
        self._said_at = float("-inf")
        self.in_trouble = 0
        """Portions that could not be recorded, and are tried again until they are."""

    async def record(self, portion: Portion) -> None:
        """Returns when all of it is committed, or among the acknowledged dead letters."""
        for start in range(0, len(portion.events), self._most):
            part = slice(start, start + self._most)
            await self._record(portion.events[part], portion.origins[part])
        if portion.dead:
            await self._insist(partial(self._letters.bury, portion.dead))
        for topic, messages in portion.messages.items():
            MESSAGES.labels(topic).inc(messages)

    async def _record(self, events: Sequence[NewInteraction], origins: Sequence[Message]) -> None:
        """One by one in the end, where of one can't be known whether it came before: the others are not held back."""
        try:
            await self._insist(partial(self._entrance.record, events))
        except CorruptBlockError as error:
            half = len(events) // 2
            if half:
                await self._record(events[:half], origins[:half])
                await self._record(events[half:], origins[half:])
            else:
                event_id = id_text(events[0].interaction.event_id)
                reason = f"event {event_id}: whether it was recorded before can't be known: {error}"
                await self._insist(partial(self._letters.bury, [DeadLetter(origins[0], "unknowable", reason)]))

    async def _insist(self, work: Callable[[], Awaitable[object]]) -> None:
        """Raises CorruptBlockError. Any other error ends some time, or an operator sees to it; so long it waits."""
        if await self._is_done(work):
            return
        self.in_trouble += 1
        try:
            wait_s = _FIRST_WAIT_S
            await asyncio.sleep(wait_s)
            while not await self._is_done(work):
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                await asyncio.sleep(wait_s)
        finally:
            self.in_trouble -= 1

    async def _is_done(self, work: Callable[[], Awaitable[object]]) -> bool:
        try:
            await work()
        except CorruptBlockError:
            raise
        except FootfallError as error:
            self._say(error)
            return False
        return True

    def _say(self, error: FootfallError) -> None:
        FAILURES.labels("backlog" if isinstance(error, BacklogFullError) else "unavailable").inc()
        now = asyncio.get_running_loop().time()
        if now - self._said_at > _SAID_EVERY_S:
            self._said_at = now
            _log.warning("what was read can't be recorded now and is tried again: %s", error)
