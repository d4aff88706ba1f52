"""Batches: which one a group commit goes into, when it is sealed, and the start of its one workflow."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from domain.errors import TransientError
from domain.ids import new_id
from intake.metrics import BATCH_INTERACTIONS, LEFT_TO_SWEEPER, START_FAILURES
from intake.traces import NO_TRACES, TracedCommit, Traces

_log = logging.getLogger(__name__)

# A batch counts as under way at most this long, so that one that waits for an operator, or whose release was
# not heard, does not make a quiet system wait for its age limit.
_UNDER_WAY_S = 5.0
# So few events tell of a quiet system: nobody is helped by letting them wait for more.
_FEW = 10
# So many batches may be sealed ahead of the pace; the pace earns them back. A trickle of events without an end would
# start thirty a second otherwise, and spend a core on workflows.
_AHEAD = 100
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0

StartWorkflow = Callable[[UUID, int], Awaitable[None]]
"""Starts the workflow of a batch id that holds so many events; raises TransientError when Temporal can't."""


@dataclass(slots=True)
class Batch:
    """A batch that is still open, or closed and waiting for the flushes into it to end."""

    opened_at: float
    batch_id: UUID = field(default_factory=new_id)
    events: int = 0
    flushes: int = 0
    closed: bool = False
    paced: bool = False
    """A look at it is due when the pace allows it to be sealed."""
    traced: list[TracedCommit] = field(default_factory=list)


class Dispatcher:
    """Lets one process's group commits into batches and starts a workflow for each sealed one.

    A batch is sealed while no workflow of this process is under way: at once where it holds few events and few
    batches were ahead of the pace lately, else `pace_s` after the one before, since a workflow costs the same
    whatever its batch holds. With others under way it is sealed when it holds `max_events` or is `max_age_s` old. It
    is never sealed while a flush into it is under way. What can't be started within `give_up_s` is left to the
    sweeper, which finds it in the intake log.
    """

    def __init__(
        self,
        start: StartWorkflow,
        *,
        max_events: int,
        max_age_s: float,
        pace_s: float,
        give_up_s: float,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._start = start
        self._traces = traces
        self._max_events = max_events
        self._max_age_s = max_age_s
        self._pace_s = pace_s
        self._give_up_s = give_up_s
        self._open: Batch | None = None
        self._under_way: dict[UUID, float] = {}
        self._starts: set[asyncio.Task[None]] = set()
        self._sealed_at = -pace_s
        self._paced_until = -pace_s
        """When the last batch would have been sealed, had each waited for the pace (as in the GCRA of ATM)."""

    def begin_flush(self) -> Batch:
        """The batch that the next intake row belongs to; `end_flush` must follow, whatever happens."""
        now = asyncio.get_running_loop().time()
        if self._open is None:
            self._open = Batch(opened_at=now)
            asyncio.get_running_loop().call_at(now + self._max_age_s, self._close, self._open)
        self._open.flushes += 1
        return self._open

    def end_flush(self, batch: Batch, events: int) -> None:
        """A flush into `batch` is over: it brought so many events, 0 when it failed or all were known."""
        batch.flushes -= 1
        batch.events += events
        if batch.closed:
            self._seal_when_flushed(batch)
        elif batch.events >= self._max_events:
            self._close(batch)
        else:
            self._close_if_quiet()

    def released(self, batch_id: UUID | None) -> None:
        """A batch was released, of this process or another."""
        if batch_id is not None and self._under_way.pop(batch_id, None) is not None:
            self._close_if_quiet()

    async def drain(self) -> None:
        """Seals what is open and waits for the starts under way; for shutdown, after the last flush."""
        if self._open is not None:
            self._close(self._open)
        while self._starts:
            await asyncio.gather(*self._starts)

    def _quiet(self) -> bool:
        if self._under_way:
            expired = asyncio.get_running_loop().time() - _UNDER_WAY_S
            self._under_way = {one: since for one, since in self._under_way.items() if since > expired}
        return not self._under_way

    def _close_if_quiet(self) -> None:
        batch = self._open
        if batch is None or not batch.events or not self._quiet():
            return
        now, due = asyncio.get_running_loop().time(), self._sealed_at + self._pace_s
        may_be_ahead = self._paced_until <= now + _AHEAD * self._pace_s
        if now >= due or (batch.events < _FEW and may_be_ahead):
            self._close(batch)
        elif not batch.paced:
            batch.paced = True
            asyncio.get_running_loop().call_at(due, self._close_if_quiet)

    def _close(self, batch: Batch) -> None:
        """No further flush goes into `batch`."""
        if batch is not self._open:
            return
        self._open = None
        batch.closed = True
        self._seal_when_flushed(batch)

    def _seal_when_flushed(self, batch: Batch) -> None:
        if batch.flushes or not batch.events:
            return
        now = self._under_way[batch.batch_id] = self._sealed_at = asyncio.get_running_loop().time()
        self._paced_until = max(self._paced_until, now) + self._pace_s
        BATCH_INTERACTIONS.observe(batch.events)
        start = asyncio.create_task(self._start_or_leave(batch), name=f"start {batch.batch_id}")
        self._starts.add(start)
        start.add_done_callback(self._starts.discard)

    async def _start_or_leave(self, batch: Batch) -> None:
        with self._traces.start(batch.traced, batch.batch_id):
            await self._start_again_and_again(batch)

    async def _start_again_and_again(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._give_up_s, _FIRST_RETRY_S
        while True:
            try:
                await self._start(batch.batch_id, batch.events)
            except TransientError as error:
                START_FAILURES.inc()
                if loop.time() + pause > deadline:
                    LEFT_TO_SWEEPER.inc()
                    _log.warning("batch %s is left to the sweeper: %s", batch.batch_id, error)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_RETRY_S)
            else:
                return
