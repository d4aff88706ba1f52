"""What was recorded and is not settled: in which batches it is sent, when, and what an answer changes.

Pure, for both clients: it knows no clock, no lock and no network. Interactions are settled in the order recorded, one
batch at a time: accepted, known already, or refused for good.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from footfall_client.errors import ClosedError, InvalidInteractionError, QueueFullError
from footfall_client.interaction import Interaction
from footfall_client.verdict import Again, Answer, Refused, Settled, Split, judge

_log = logging.getLogger("footfall_client")

_HEAD, _TAIL = b'{"interactions":[', b"]}"
_AROUND = len(_HEAD) + len(_TAIL)
_MOST_IN_A_REQUEST = 1_000

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 30.0
_MOST_DOUBLINGS = 10
_MOST_SPREAD_S = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    max_queued: int = 10_000
    """Interactions that are recorded and not settled, those under way too."""
    max_batch: int = 500
    """Interactions in a request."""
    max_body_bytes: int = 1_048_576
    linger_s: float = 0.2
    """How long an interaction waits for others to be sent with."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch <= _MOST_IN_A_REQUEST:
            raise ValueError(f"max_batch is 1 to {_MOST_IN_A_REQUEST}, not {self.max_batch}")
        if self.max_queued < 1 or self.max_body_bytes <= _AROUND or self.linger_s < 0:
            raise ValueError(f"max_queued and max_body_bytes must be positive, linger_s not negative: {self}")


@dataclass(frozen=True, slots=True)
class Entry:
    interaction: Interaction
    line: bytes
    """As JSON."""
    recorded_at: float
    """By the clock that `Outbox.next` is asked with, in seconds."""


@dataclass(frozen=True, slots=True)
class Batch:
    entries: Sequence[Entry]
    refused_before: int = 0
    """Others that were cut with these and refused since; they count as settled when these do, for what is settled are
    the oldest."""

    @property
    def body(self) -> bytes:
        return _HEAD + b",".join([entry.line for entry in self.entries]) + _TAIL


@dataclass(frozen=True, slots=True)
class Rejection:
    """An interaction that was not recorded and never will be."""

    interaction: Interaction
    status: int
    """Of HTTP; 202 where others of the same request were recorded."""
    reason: str


@dataclass(slots=True)
class Stats:
    """Since the client was made, in interactions. recorded = accepted + duplicates + rejected + those unsettled."""

    recorded: int = 0
    accepted: int = 0
    duplicates: int = 0
    """The server knew them: nearly always an acknowledgement that was lost on its way."""
    rejected: int = 0
    dropped: int = 0
    """Not taken: QueueFullError was raised."""
    retries: int = 0
    """Requests that have to be sent again."""
    trouble: str | None = None
    """Why the last request failed; None when it did not."""


def full_jitter(most_s: float) -> float:
    return random.uniform(0, most_s)


class Outbox:
    def __init__(self, limits: Limits, jitter: Callable[[float], float] = full_jitter) -> None:
        self.stats = Stats()
        self.settled = 0
        self.closed = False
        self._limits = limits
        self._jitter = jitter
        self._max_batch = min(limits.max_batch, limits.max_queued)
        self._max_body_bytes = limits.max_body_bytes
        self._queue: deque[Entry] = deque()
        self._queued_bytes = _AROUND
        self._in_hand: list[Batch] = []
        """Cut and not settled; the last is the next, and older than those before it."""
        self._send_up_to = 0
        """So many of all that were ever recorded are not to linger."""
        self._not_before = 0.0
        self._asked_to_wait = False
        self._failures = 0

    @property
    def recorded(self) -> int:
        return self.stats.recorded

    @property
    def has_room(self) -> bool:
        return self.recorded - self.settled < self._limits.max_queued

    def add(self, entry: Entry) -> bool:
        """Whether a sender that sleeps has to look: something is there, or due, that was not before.

        Raises:
            ClosedError, QueueFullError, InvalidInteractionError: it was not taken.

        """
        if self.closed:
            raise ClosedError("the client is closed")
        if len(entry.line) + _AROUND > self._limits.max_body_bytes:
            raise InvalidInteractionError(f"{len(entry.line)} bytes as JSON, more than a request may have")
        if not self.has_room:
            self.stats.dropped += 1
            raise QueueFullError(f"{self._limits.max_queued} interactions wait for their acknowledgement")
        was_due = self._is_full
        self._queue.append(entry)
        self._queued_bytes += len(entry.line) + 1
        self.stats.recorded += 1
        return len(self._queue) == 1 or (self._is_full and not was_due)

    def hurry(self) -> int:
        """Sends what was recorded so far without waiting for more. Returns what `settled` is once all of it is."""
        self._send_up_to = self.recorded
        return self.recorded

    def close(self) -> None:
        """Takes no more. What is there is due, and tried at once unless the server asked to wait."""
        self.closed = True
        self.hurry()
        self._failures = 0
        if not self._asked_to_wait:
            self._not_before = 0.0

    def next(self, now: float) -> Batch | float | None:
        """The batch to send now; or the seconds until there may be one; or None where nothing is recorded."""
        if not self._in_hand:
            if not self._queue:
                return None
            lingers_s = self._queue[0].recorded_at + self._limits.linger_s - now
            if lingers_s > 0 and not self._is_full and self._send_up_to <= self.settled:
                return lingers_s
            self._in_hand.append(self._cut())
        wait_s = self._not_before - now
        return wait_s if wait_s > 0 else self._in_hand[-1]

    def answered(self, answer: Answer, now: float, today: datetime) -> list[Rejection]:
        """What the answer to the batch in hand changes; the interactions that it refuses for good."""
        batch = self._in_hand[-1]
        verdict = judge(answer, len(batch.entries), today)
        match verdict:
            case Again():
                self.failed(verdict.reason, now, verdict.asked_s)
                return []
            case Split():
                self._went_through()
                self._split(batch, too_large=verdict.too_large)
                return []
            case Refused():
                self._went_through()
                return self._settle(batch, answer.status, verdict.refused, others_again=True)
            case Settled():
                self._went_through()
                self.stats.accepted += verdict.accepted
                self.stats.duplicates += verdict.duplicates
                return self._settle(batch, answer.status, verdict.refused, others_again=False)

    def failed(self, reason: str, now: float, asked_s: float | None = None) -> None:
        """The batch in hand was not answered, or was answered with `come again`."""
        wait_s = self._jitter(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(self._failures, _MOST_DOUBLINGS)))
        if asked_s is not None:
            # Never sooner than asked, and not all clients at the same moment.
            wait_s = max(wait_s, asked_s + self._jitter(min(asked_s, _MOST_SPREAD_S)))
        if self._failures == 0:
            _log.warning("interactions are kept and sent again, until it works: %s", reason)
        self._failures += 1
        self._not_before = now + wait_s
        self._asked_to_wait = asked_s is not None
        self.stats.retries += 1
        self.stats.trouble = reason

    def unsettled(self) -> list[Interaction]:
        """In the order recorded."""
        in_hand = [entry for batch in reversed(self._in_hand) for entry in batch.entries]
        return [entry.interaction for entry in [*in_hand, *self._queue]]

    @property
    def _is_full(self) -> bool:
        return len(self._queue) >= self._max_batch or self._queued_bytes >= self._max_body_bytes

    def _cut(self) -> Batch:
        entries: list[Entry] = []
        size = _AROUND - 1  # there is a comma less than lines
        while self._queue and len(entries) < self._max_batch:
            more = len(self._queue[0].line) + 1
            if entries and size + more > self._max_body_bytes:
                break
            size += more
            self._queued_bytes -= more
            entries.append(self._queue.popleft())
        return Batch(entries)

    def _split(self, batch: Batch, *, too_large: bool) -> None:
        if too_large:
            # The server takes less than we were told; the next ones need not be refused to see it.
            self._max_body_bytes = max(_AROUND + 1, len(batch.body) // 2)
        half = len(batch.entries) // 2
        self._in_hand[-1:] = [Batch(batch.entries[half:], batch.refused_before), Batch(batch.entries[:half])]

    def _settle(
        self, batch: Batch, status: int, refused: Mapping[int, str], *, others_again: bool
    ) -> list[Rejection]:
        self._in_hand.pop()
        others = [entry for place, entry in enumerate(batch.entries) if place not in refused]
        if others_again and others:
            self._in_hand.append(Batch(others, batch.refused_before + len(refused)))
        else:
            self.settled += len(batch.entries) + batch.refused_before
        self.stats.rejected += len(refused)
        return [
            Rejection(batch.entries[place].interaction, status, reason) for place, reason in sorted(refused.items())
        ]

    def _went_through(self) -> None:
        if self._failures:
            _log.info("interactions are sent again")
        self._failures, self._not_before, self._asked_to_wait = 0, 0.0, False
        self.stats.trouble = None
