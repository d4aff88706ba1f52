"""The daily housekeeping of the stores: partitions ahead, old ones dropped."""

from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.failures import translated_failures
from domain.batch import MAINTAIN
from domain.week import WEEKS_KEPT, to_us, week_of
from intake.ledger import LedgerPartitions
from store.blocks.protocol import BlockStore
from store.erasure import ErasureStore
from store.experiments import ExperimentStore
from store.popularity import PopularityStore
from store.signals import SignalStore

# A week more than can be rebuilt, so that no day goes while it is recounted.
_DAYS_KEPT = timedelta(weeks=WEEKS_KEPT + 1)
_LEDGER_WINDOWS = 3
"""Longer than any day of the ledger's is kept; see intake/ledger.py."""


class Maintenance:
    def __init__(
        self,
        ledger: LedgerPartitions,
        blocks: BlockStore,
        popularity: PopularityStore,
        signals: SignalStore,
        experiments: ExperimentStore,
        erasures: ErasureStore,
        *,
        window_days: int,
    ) -> None:
        self._ledger = ledger
        self._blocks = blocks
        self._popularity = popularity
        self._signals = signals
        self._experiments = experiments
        self._erasures = erasures
        self._ledger_knows_for = timedelta(days=_LEDGER_WINDOWS * window_days)

    async def make_room(self) -> None:
        """What must be there before anything is accepted or applied."""
        await self._ledger.make()
        await self._blocks.maintain(week_of(to_us(datetime.now(UTC))))
        await self._signals.maintain()

    @activity.defn(name=MAINTAIN)
    async def maintain(self) -> list[str]:
        """Makes room and drops what is out of keep; the names of the ledger's dropped days."""
        with translated_failures():
            await self.make_room()
            dropped = await self._ledger.drop()
            oldest = datetime.now(UTC).date() - _DAYS_KEPT
            await self._popularity.forget_days(oldest)
            await self._experiments.forget()
            await self._erasures.forget(oldest, _DAYS_KEPT, self._ledger_knows_for)
            return dropped
