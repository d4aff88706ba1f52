"""The steps of an erasure. All of it may be cut off anywhere and run again, beside everything else."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from temporalio import activity

from activities.failures import heartbeats
from activities.persist import Persist
from activities.popularity import Popularity
from domain.block import decode_block, encode_block
from domain.erasure import (
    BEGIN_ERASURE,
    ERASE_INTERACTIONS,
    ERASE_TRACES,
    FINISH_ERASURE,
    NOTE_ERASED,
    ErasureBegun,
    ErasureInput,
)
from domain.errors import CorruptBlockError
from domain.event_types import EventWeight
from domain.ids import derive_id
from domain.interaction import Interaction
from domain.week import week_of
from intake.erasure import IntakeErasure, LoggedRow, logged_rows
from intake.ledger import now_us
from store.blocks.protocol import Block, BlockStore
from store.erasure import ErasureStore, Open
from store.postgres import Connection, Pool, transaction
from store.signals import SignalStore

_log = logging.getLogger(__name__)

_ALL_WEEKS = (0, 2**31 - 1)
_EVENTS_A_TRANSACTION = 5_000
_LEVEL = 9

EndBatch = Callable[[UUID, str], Awaitable[None]]
"""Ends the workflow of a batch that has nothing left; a closed one stays as it is."""

_week = attrgetter("week")


class Erasing:
    def __init__(
        self,
        pool: Pool,
        blocks: BlockStore,
        signals: SignalStore,
        weights: dict[str, EventWeight],
        end_batch: EndBatch,
        *,
        settle_s: float,
    ) -> None:
        self._pool = pool
        self._blocks = blocks
        self._signals = signals
        self._weights = weights
        self._end_batch = end_batch
        self._settle_s = settle_s
        self._store = ErasureStore(pool)
        self._intake = IntakeErasure(pool, writer=Persist.name, counter=Popularity.name)

    def activities(self) -> list[Callable[..., Any]]:
        return [self.begin, self.erase_interactions, self.erase_traces, self.note_erased, self.finish]

    @activity.defn(name=BEGIN_ERASURE)
    async def begin(self, work: ErasureInput) -> ErasureBegun:
        """Fixes the moment before which all goes: now, or later where a clock that was ahead dated something so."""
        async with heartbeats():
            found = await self._store.find(work.erasure_id)
            if found is not None and found.account_id is not None and found.erased_before is None:
                newest_us = 0
                last_week = week_of(now_us()) - 1
                for block in await self._blocks.read_exact(found.account_id, last_week, _ALL_WEEKS[1]):
                    events, _ = _decoded(block)
                    newest_us = max([newest_us, *(one.occurred_at for one in events)])
                async for row in logged_rows(self._pool, found.account_id):
                    newest_us = max([newest_us, *(one.occurred_at for one in row.mine)])
                await self._store.fix_moment(work.erasure_id, newest_us)
            return ErasureBegun(self._settle_s)

    @activity.defn(name=ERASE_INTERACTIONS)
    async def erase_interactions(self, work: ErasureInput) -> None:
        """Takes the account out of the log and the blocks, and settles what popularity has of it, exactly once.

        What is found in a block was accepted before the block was read. So the log is searched after the blocks were
        read: what is in no row of it then was released, and popularity has applied it, or does without it for good.
        """
        async with heartbeats():
            erasure = await self._store.open(work.erasure_id)
            if erasure is None:
                return
            await self._store.start_removing(erasure.erasure_id)
            blocks = await self._blocks.read_exact(erasure.account_id, *_ALL_WEEKS)
            while rows := await self._rows_under_way(erasure):
                taken = await self._intake.cut(erasure, rows)
                _log.info("erasure %s took %d interactions out of the log", erasure.erasure_id, taken)
                blocks = await self._blocks.read_exact(erasure.account_id, *_ALL_WEEKS)
            for batch_id in await self._intake.emptied_batches(erasure.erasure_id):
                await self._end_batch(batch_id, "its interactions were erased")
            await self._settle_log(erasure)
            await self._settle_quarantine(erasure)
            await self._erase_blocks(erasure, blocks)
            await self._store.stop_removing(erasure.erasure_id)

    async def _rows_under_way(self, erasure: Open) -> list[LoggedRow]:
        """With what the erasure does not cover among the others."""
        found = []
        async for row in logged_rows(self._pool, erasure.account_id):
            mine = [one for one in row.mine if erasure.covers(one)]
            if mine:
                kept = [one for one in row.mine if not erasure.covers(one)]
                found.append(LoggedRow(row.intake_id, mine, [*row.others, *kept]))
        return found

    async def _settle_log(self, erasure: Open) -> None:
        for intake_id, events in await self._intake.uncounted(erasure.erasure_id):
            async with transaction(self._pool) as connection:
                await self._settle(connection, erasure, events)
                await self._intake.note_counted(connection, erasure.erasure_id, intake_id)

    async def _settle_quarantine(self, erasure: Open) -> None:
        found = await self._intake.quarantined(erasure)
        if found:
            async with transaction(self._pool) as connection:
                await self._settle(connection, erasure, [one.interaction for one in found])
                await self._intake.unquarantine(connection, found)
                await self._store.count(connection, erasure.erasure_id, {"quarantined": len(found)})

    async def _erase_blocks(self, erasure: Open, blocks: Sequence[Block]) -> None:
        removed: dict[int, list[UUID]] = {}
        kept: list[Block] = []
        unreadable = 0
        for week, of_week in groupby(blocks, key=_week):
            going: dict[bytes, Interaction] = {}
            for block in of_week:
                events, is_readable = _decoded(block)
                unreadable += not is_readable
                mine = [one for one in events if erasure.covers(one)]
                if mine or not is_readable:
                    going |= {one.event_id: one for one in mine}
                    removed.setdefault(week, []).append(block.block_id)
                    if len(mine) < len(events):
                        kept.append(_rest(erasure, block, [one for one in events if not erasure.covers(one)]))
            await self._settle_some(erasure, list(going.values()))
        if removed:
            await self._blocks.erase(erasure.account_id, removed, kept)
            counts = {"blocks": sum(map(len, removed.values())), "unreadable_blocks": unreadable}
            async with transaction(self._pool) as connection:
                await self._store.count(connection, erasure.erasure_id, counts)

    async def _settle_some(self, erasure: Open, events: Sequence[Interaction]) -> None:
        for start in range(0, len(events), _EVENTS_A_TRANSACTION):
            async with transaction(self._pool) as connection:
                await self._settle(connection, erasure, events[start : start + _EVENTS_A_TRANSACTION])

    async def _settle(self, connection: Connection, erasure: Open, events: Sequence[Interaction]) -> None:
        """Of these, takes what popularity has applied and nobody has settled before out of it, or remembers it."""
        ids = [one.event_id for one in events]
        fresh = await self._store.settled(connection, erasure.erasure_id, ids)
        left_out = await self._intake.not_counted(connection, fresh)
        await self._intake.note_erased(connection, [one for one in events if one.event_id in fresh])
        counted = [one for one in events if one.event_id in fresh and one.event_id not in left_out]
        await self._store.take_share(connection, counted, self._weights, subtract=erasure.subtract)
        await self._store.count(connection, erasure.erasure_id, {"interactions": len(fresh)})

    @activity.defn(name=ERASE_TRACES)
    async def erase_traces(self, work: ErasureInput) -> None:
        """What was made of the interactions. After these: no fan-out adds to it any more."""
        async with heartbeats():
            erasure = await self._store.open(work.erasure_id)
            if erasure is None:
                return
            signals = await self._signals.erase(erasure.account_id, erasure.erased_before)
            async with transaction(self._pool) as connection:
                await self._store.count(connection, erasure.erasure_id, {"signals": signals})
            await self._store.remove_traces(erasure)

    @activity.defn(name=NOTE_ERASED)
    async def note_erased(self, work: ErasureInput) -> None:
        async with heartbeats():
            await self._store.note_erased(work.erasure_id)

    @activity.defn(name=FINISH_ERASURE)
    async def finish(self, work: ErasureInput) -> None:
        async with heartbeats():
            await self._store.finish(work.erasure_id)


def _decoded(block: Block) -> tuple[list[Interaction], bool]:
    """Its interactions, and whether it can be read. One that can't goes as a whole: nobody can say what is in it."""
    try:
        return decode_block(block.data, block.account_id), True
    except CorruptBlockError as error:
        _log.error("block %s can't be read, and is erased as a whole: %s", block.block_id, error)
        return [], False


def _rest(erasure: Open, block: Block, kept: list[Interaction]) -> Block:
    """What stays of a block: under another id, since the bytes of an id never change."""
    block_id = UUID(bytes=derive_id(b"erased", erasure.erasure_id.bytes, block.block_id.bytes))
    return Block(block.account_id, block.week, block_id, len(kept), encode_block(kept, level=_LEVEL), block.sealed)
