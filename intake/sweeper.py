"""Finds intake rows that no open workflow will ever read, and has them carried by a new batch."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from operator import attrgetter
from uuid import UUID

from domain.errors import FootfallError
from domain.ids import new_id
from intake.dispatch import StartWorkflow
from intake.log import IntakeLog, StaleBatch
from intake.metrics import SWEPT_BATCHES, SWEPT_INTERACTIONS
from intake.packing import packed
from store.postgres import Pool, transaction
from store.queries import load_queries

_log = logging.getLogger(__name__)
_QUERIES = load_queries("intake", "log.sql")
_LOOK_UPS_AT_ONCE = 16

IsOpen = Callable[[UUID], Awaitable[bool]]
"""Whether the workflow of a batch id is open; raises TransientError when Temporal can't say."""


class Sweeper:
    """Looks every `interval_s` for rows older than `older_than_s`; one process at a time sweeps.

    Such rows are left by a process that died, a commit whose answer was lost, a terminated workflow, or a
    Temporal that was wiped. What had been applied of them keeps its marks and is not applied again.
    """

    def __init__(
        self,
        pool: Pool,
        log: IntakeLog,
        *,
        is_open: IsOpen,
        start: StartWorkflow,
        older_than_s: float,
        interval_s: float,
        max_events: int,
    ) -> None:
        self._pool = pool
        self._intake_log = log
        self._is_open = is_open
        self._start = start
        self._older_than = timedelta(seconds=older_than_s)
        self._interval_s = interval_s
        self._max_events = max_events

    async def keep_sweeping(self) -> None:
        """Sweeps until cancelled; a sweep that fails is tried again at the next interval."""
        while True:
            try:
                await self.sweep()
            except FootfallError as error:
                _log.warning("a sweep failed, the next one is in %.0f s: %s", self._interval_s, error)
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> list[UUID]:
        """One look; the new batches that were started."""
        async with transaction(self._pool) as connection:
            if not await connection.fetchval(_QUERIES["try_sweep_lock"]):
                return []
            stale = await self._intake_log.stale_batches(self._older_than)
            lost = await self._lost(stale)
            return [await self._carry(group) for group in packed(lost, attrgetter("events"), self._max_events)]

    async def _lost(self, stale: list[StaleBatch]) -> list[StaleBatch]:
        at_once = asyncio.Semaphore(_LOOK_UPS_AT_ONCE)

        async def look(batch: StaleBatch) -> bool:
            async with at_once:
                return await self._is_open(batch.batch_id)

        opens = await asyncio.gather(*(look(batch) for batch in stale))
        return [batch for batch, is_open in zip(stale, opens, strict=True) if not is_open]

    async def _carry(self, group: list[StaleBatch]) -> UUID:
        """The rows get their new batch first: should the start fail, the next sweep finds them there."""
        batch_id = new_id()
        events = await self._intake_log.move([batch.batch_id for batch in group], batch_id)
        SWEPT_BATCHES.inc(len(group))
        SWEPT_INTERACTIONS.inc(events)
        _log.warning("%d interactions of %d lost batches are carried by batch %s", events, len(group), batch_id)
        await self._start(batch_id, events)
        return batch_id
