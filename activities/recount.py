"""The recount of a token range: its blocks are read and counted, as far as popularity had applied them."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from temporalio import activity

from activities.failures import heartbeats
from activities.popularity import Popularity
from domain.interaction import PRODUCT, Interaction
from domain.rebuild import RECOUNT_RANGE, RecountInput, RecountResult
from domain.week import date_of, day_of, day_start_us
from intake.recount import Recount
from store.blocks.protocol import Block, BlockStore, TokenRange
from store.blocks.scan import merged, read_accounts
from store.popularity import PopularityDelta, ProductDay, count_popularity
from store.postgres import Pool, transaction
from store.rebuild import Piece, Rebuild, RebuildStore

# Events that are looked up together, and events and products' days after which what is counted is written.
_EVENTS_A_LOOK = 20_000
_EVENTS_A_PIECE = 200_000
_DAYS_A_PIECE = 50_000
# Events that are decoded in one go, while nobody else has the processor.
_EVENTS_A_TURN = 500

_week = attrgetter("week")


class Recounting:
    def __init__(self, pool: Pool, blocks: BlockStore) -> None:
        self._pool = pool
        self._blocks = blocks
        self._store = RebuildStore(pool)

    @activity.defn(name=RECOUNT_RANGE)
    async def recount(self, work: RecountInput) -> RecountResult:
        """Run again, it goes on behind the last account that was noted.

        Raises:
            CorruptBlockError: a block can't be read. What it holds would be taken for never recorded.

        """
        async with heartbeats():
            rebuild = await self._store.load(work.rebuild_id)
            piece = await self._store.piece(work.rebuild_id, work.start)
            if not piece.done:
                tally = _Tally(self._pool, self._store, rebuild, work, piece)
                reading = read_accounts(
                    self._blocks,
                    TokenRange(work.start, work.end),
                    work.first_week,
                    work.last_week,
                    piece.after_account,
                )
                async with aclosing(reading) as accounts:
                    async for account_id, blocks in accounts:
                        await tally.take(account_id, blocks)
                await tally.write(done=True)
                piece = await self._store.piece(work.rebuild_id, work.start)
            return piece.result


class _Tally:
    """What was counted and is not written yet."""

    def __init__(self, pool: Pool, store: RebuildStore, rebuild: Rebuild, work: RecountInput, piece: Piece) -> None:
        self._pool = pool
        self._store = store
        self._rebuild = rebuild
        self._from_us = day_start_us(rebuild.first_day)
        self._to_us = day_start_us(rebuild.last_day + timedelta(days=1))
        self._place = (work.rebuild_id, work.start)
        self._recount = Recount(pool, Popularity.name)
        self._noted = self._upto = piece.after_account
        self._result = RecountResult()
        self._decoded = 0
        self._deltas: dict[ProductDay, PopularityDelta] = {}
        self._found: list[tuple[UUID, date]] = []
        self._unsure: list[Interaction] = []
        """Read from blocks; whether they were applied before the moment is not asked yet."""

    async def take(self, account_id: str, blocks: Sequence[Block]) -> None:
        """Counts an account; writes when there is enough."""
        for _, of_week in groupby(blocks, key=_week):
            events = merged(list(of_week))
            self._result = self._result.plus(RecountResult(0, 0, len(events)))
            if self._rebuild.ledger:
                self._found += [(UUID(bytes=one.event_id), date_of(day_of(one.occurred_at))) for one in events]
            self._unsure += [one for one in events if self._is_counted(one)]
            if len(self._unsure) >= _EVENTS_A_LOOK:
                await self._look()
            self._decoded += len(events)
            if self._decoded >= _EVENTS_A_TURN:
                self._decoded = 0
                await asyncio.sleep(0)  # decoding is work for the processor: others take turns
        self._result = self._result.plus(RecountResult(0, 1))
        self._upto = account_id
        if self._result.events >= _EVENTS_A_PIECE or len(self._deltas) >= _DAYS_A_PIECE:
            await self.write(done=False)

    def _is_counted(self, one: Interaction) -> bool:
        return (
            one.ref_type == PRODUCT
            and one.event_type in self._rebuild.weights
            and self._from_us <= one.occurred_at < self._to_us
        )

    async def _look(self) -> None:
        """Counts those of the unsure that were applied before the rebuild's moment."""
        unsure, self._unsure = self._unsure, []
        if not unsure:
            return
        not_before = await self._recount.not_before({one.event_id for one in unsure})
        sure = [one for one in unsure if one.event_id not in not_before]
        self._result = self._result.plus(RecountResult(0, 0, 0, len(sure)))
        for key, delta in count_popularity(sure, self._rebuild.weights).items():
            self._deltas.setdefault(key, PopularityDelta()).add(delta)

    async def write(self, *, done: bool) -> None:
        """Adds to the difference and moves the range's note, in one transaction."""
        await self._look()
        async with transaction(self._pool) as connection:
            moved = self._noted, self._upto
            await self._store.move_piece(connection, self._place, moved, self._result, done=done)
            if self._deltas:
                await self._store.add(connection, self._deltas)
            if self._found:
                await self._store.keep_found(connection, self._found)
        self._noted = self._upto
        self._result = RecountResult()
        self._deltas, self._found = {}, []
