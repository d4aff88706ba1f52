"""What stands in the database and operators should see, sampled by workers."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, time

from prometheus_client import Gauge

from domain.errors import FootfallError
from intake.ledger import LedgerPartitions
from intake.parked import ParkedFanOuts
from intake.quarantine import Quarantine
from store.models import ModelRegistry
from store.postgres import Pool

_log = logging.getLogger(__name__)
_EVERY_S = 5.0

# Each worker sees the same database, so of several the largest counts.
PARKED = Gauge(
    "footfall_parked_batches", "Batches in which this fan-out is parked.", ["fan_out"], multiprocess_mode="mostrecent"
)
QUARANTINED = Gauge(
    "footfall_quarantined_interactions",
    "Interactions that are in quarantine for this fan-out.",
    ["fan_out"],
    multiprocess_mode="mostrecent",
)
LEDGER_ENDS = Gauge(
    "footfall_ledger_end_timestamp_seconds",
    "Midnight in UTC, as Unix time, after the last of the days that the ledger has without a gap from today on.",
    multiprocess_mode="mostrecent",
)
MODEL_MADE = Gauge(
    "footfall_model_trained_timestamp_seconds",
    "When the model that answers was registered, as Unix time; 0 where there is none.",
    multiprocess_mode="mostrecent",
)


class Watch:
    """Counts are by fan-out, and 0 for those of `fan_outs` that have none."""

    def __init__(self, pool: Pool, fan_outs: Sequence[str], window_days: int) -> None:
        self._parked = ParkedFanOuts(pool)
        self._quarantine = Quarantine(pool)
        self._ledger = LedgerPartitions(pool, window_days)
        self._models = ModelRegistry(pool)
        self._fan_outs = fan_outs

    async def keep_sampling(self) -> None:
        """Samples until cancelled; while PostgreSQL can't answer, the last sample stands."""
        while True:
            try:
                await self.take_sample()
            except FootfallError as error:
                _log.warning("what stands in PostgreSQL could not be sampled: %s", error)
            await asyncio.sleep(_EVERY_S)

    async def take_sample(self) -> None:
        parked, quarantined = await self._parked.count(), await self._quarantine.count()
        for name in {*self._fan_outs, *parked, *quarantined}:
            PARKED.labels(name).set(parked.get(name, 0))
            QUARANTINED.labels(name).set(quarantined.get(name, 0))
        ends = await self._ledger.ends()
        LEDGER_ENDS.set(datetime.combine(ends, time(), UTC).timestamp())
        model = await self._models.current()
        MODEL_MADE.set(0 if model is None else model.trained_at.timestamp())
