"""Late events that must not be recorded, for a reason that the ledger does not know.

Those that come again when the ledger has forgotten them: their blocks still know.

The ledger knows an event id for the dedup window, counted from its acceptance. An event that occurred before the
window may have been accepted before it too; its id is then in its account's block of that week, for as long as the
block store keeps it. Before such an event is appended, that block is asked.

And those of an account that was erased since: see intake/erased.py.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from domain.block import event_ids
from domain.week import week_of
from intake.erased import ErasedAccounts
from intake.log import LATE_DAY, NewInteraction
from store.blocks.protocol import BlockReader
from store.postgres import Pool, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("intake", "log.sql")
_READS_AT_ONCE = 32


class LateEvents:
    """Which late events are in a block already, or were erased before they came."""

    def __init__(self, pool: Pool, blocks: BlockReader, window_days: int) -> None:
        self._pool = pool
        self._blocks = blocks
        self._erased = ErasedAccounts(pool)
        self._window = timedelta(days=window_days)
        self._ledger_knows_all = True
        """Nothing was accepted before the window, so there is nothing that the ledger can have forgotten."""
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    async def known(self, events: Sequence[NewInteraction]) -> set[bytes]:
        """The ids of those that a block holds, or that are erased.

        Raises:
            TransientError: the blocks can't be read now, or which accounts were erased.
            CorruptBlockError: a block can't be read at all; what it holds can't be known.

        """
        erased = await self._erased.late(events)
        late = [one.interaction for one in events if one.day == LATE_DAY and one.interaction.event_id not in erased]
        if not late or await self._is_young():
            return erased
        weeks: dict[tuple[str, int], set[bytes]] = {}
        for one in late:
            weeks.setdefault((one.account_id, week_of(one.occurred_at)), set()).add(one.event_id)
        found = await asyncio.gather(*(self._in_blocks(*key, ids) for key, ids in weeks.items()))
        return erased.union(*found)

    async def _in_blocks(self, account_id: str, week: int, ids: set[bytes]) -> set[bytes]:
        async with self._reads:
            blocks = await self._blocks.read_exact(account_id, week, week)
        return {one for block in blocks for one in event_ids(block.data) if one in ids}

    async def _is_young(self) -> bool:
        """Whether this Footfall was set up less than a window ago: a first import needs no look into blocks."""
        if self._ledger_knows_all:
            with translated_errors():
                age: timedelta = await self._pool.fetchval(_QUERIES["age"])
            self._ledger_knows_all = age < self._window
        return self._ledger_knows_all
