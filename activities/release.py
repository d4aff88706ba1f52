"""The end of a batch: its rows and marks go once every fan-out has applied them, or it is noted as parked."""

import logging
from collections.abc import Sequence

from temporalio import activity

from activities.batches import BatchReader
from activities.failures import heartbeats
from activities.metrics import RELEASED_ROWS
from domain.batch import DISCARD, PARK, RELEASE, DiscardInput, ParkInput, ReleaseInput, ReleaseResult
from domain.errors import CorruptBlockError
from intake.log import IntakeLog

_log = logging.getLogger(__name__)
_LACKING = "batch %s was started without %s, by a process that lacks the setting for it: the sweeper carries it again"


class BatchEnd:
    def __init__(self, log: IntakeLog, batches: BatchReader, insisted: Sequence[str] = ()) -> None:
        """`insisted`: fan-outs without which nothing is released, whatever a batch was given when it was started.

        What lacks them is left to the sweeper, which gives it all. So a setting that only some processes have, or
        have since a moment ago, loses nothing.
        """
        self._log = log
        self._batches = batches
        self._insisted = insisted

    @activity.defn(name=RELEASE)
    async def release(self, batch: ReleaseInput) -> ReleaseResult:
        async with heartbeats():
            lacking = [name for name in self._insisted if name not in batch.fan_outs]
            released = await self._log.release(batch.batch_id, [*batch.fan_outs, *lacking])
            if lacking and released.remaining_rows:
                _log.warning(_LACKING, batch.batch_id, ", ".join(lacking))
            RELEASED_ROWS.inc(released.released_rows)
            self._batches.forget(batch.batch_id)
            return ReleaseResult(released.released_rows, released.remaining_rows)

    @activity.defn(name=PARK)
    async def park(self, parked: ParkInput) -> None:
        """Notes for receipts that a fan-out is parked, and why; an empty reason takes the note away."""
        async with heartbeats():
            if parked.reason:
                await self._log.park(parked.batch_id, parked.fan_out, parked.reason)
            else:
                await self._log.unpark(parked.batch_id, parked.fan_out)

    @activity.defn(name=DISCARD)
    async def discard(self, discarded: DiscardInput) -> None:
        """Has the batch go on without a fan-out's effect, and keeps why."""
        async with heartbeats():
            try:
                rows = await self._batches.read(discarded.batch_id)
            except CorruptBlockError:
                rows = []  # no fan-out can read these interactions: there is nothing that a recount could count
            await self._log.discard(discarded.batch_id, discarded.fan_out, discarded.reason, rows)
