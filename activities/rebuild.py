"""A rebuild of popularity: its moment and base, what differs in the end, and the difference added."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from temporalio import activity

from activities.failures import heartbeats
from activities.persist import Persist
from activities.popularity import Popularity
from domain.errors import InvalidInputError
from domain.event_types import EventWeight
from domain.rebuild import (
    ADD_DIFFERENCE,
    BEGIN_REBUILD,
    END_REBUILD,
    MOST_NAMED,
    REPAIR_LEDGER,
    SETTLE_REBUILD,
    BeginInput,
    RebuildPlan,
    Settled,
    rebuildable_days,
    wanted_days,
)
from domain.week import day_start_us, to_us, week_of
from intake.recount import LedgerCheck, Recount
from store.blocks.protocol import BlockStore
from store.erasure import remembered
from store.popularity import PopularityDelta, PopularityStore, ProductDay, count_popularity
from store.postgres import Connection, Pool
from store.rebuild import Rebuild, RebuildStore

_DAYS_A_WRITE = 50_000
"""Products' days that are held before they are written."""


class Rebuilding:
    """All of it may be cut off anywhere and run again."""

    def __init__(self, pool: Pool, blocks: BlockStore, weights: dict[str, EventWeight], *, window_days: int) -> None:
        self._blocks = blocks
        self._weights = weights
        self._store = RebuildStore(pool)
        self._popularity = PopularityStore(pool)
        self._recount = Recount(pool, Popularity.name)
        self._ledger = LedgerCheck(pool, window_days)

    def activities(self) -> list[Callable[..., Any]]:
        return [self.begin, self.settle, self.add, self.repair, self.end]

    @activity.defn(name=BEGIN_REBUILD)
    async def begin(self, work: BeginInput) -> RebuildPlan:
        """Takes the moment, and writes what is live, negated, and what was applied and may be in no block yet."""
        async with heartbeats():
            if work.weights is not None and work.purpose != "compare":
                raise InvalidInputError("live traffic goes by the workers' weights: with others only compare")
            first, last = wanted_days(work.from_day, work.to_day, to_us(datetime.now(UTC)))
            async with self._store.beginning(work.rebuild_id) as begun:
                if begun is not None:
                    connection, moment = begun
                    weights = self._weights if work.weights is None else work.weights
                    ledger = work.purpose in {"verify", "repair"}
                    rebuild = Rebuild(work.rebuild_id, moment, first, last, weights, ledger)
                    await self._store.write_base(connection, rebuild)
                    await self._recount.note_logged(connection)
                    await self._count_marked(connection, rebuild)
                    await self._count_erased(connection, rebuild)
                    await self._store.note_base(connection, rebuild)
            rebuild = await self._store.load(work.rebuild_id)
            first_week, last_week = (week_of(day_start_us(day)) for day in (rebuild.first_day, rebuild.last_day))
            ranges = [(one.start, one.end) for one in self._blocks.ranges()]
            return RebuildPlan(rebuild.rebuild_id, first_week, last_week, ranges)

    async def _count_marked(self, connection: Connection, rebuild: Rebuild) -> None:
        """Rows that are applied and not released: their blocks may not be written yet, so they are counted here."""
        deltas: dict[ProductDay, PopularityDelta] = {}
        async for row in self._recount.marked_rows(connection):
            await self._popularity.note_applied(connection, (one.event_id for one in row.interactions))
            applied = [one for one in row.interactions if one.event_id not in row.left_out]
            for key, delta in count_popularity(applied, rebuild.weights).items():
                if rebuild.first_day <= key[0] <= rebuild.last_day:
                    deltas.setdefault(key, PopularityDelta()).add(delta)
            if len(deltas) >= _DAYS_A_WRITE:
                await self._store.add(connection, deltas)
                deltas = {}
        if deltas:
            await self._store.add(connection, deltas)

    async def _count_erased(self, connection: Connection, rebuild: Rebuild) -> None:
        """What popularity keeps of erased accounts, which no block holds."""
        deltas = await remembered(connection, rebuild.first_day, rebuild.last_day, rebuild.weights)
        if deltas:
            await self._store.add(connection, deltas)

    @activity.defn(name=SETTLE_REBUILD)
    async def settle(self, plan: RebuildPlan) -> Settled:
        """Says what differs, after all ranges are recounted."""
        async with heartbeats():
            rebuild = await self._store.load(plan.rebuild_id)
            await self._store.stop_noting(plan.rebuild_id)
            in_no_block = unknown = 0
            if rebuild.ledger:
                first, _ = rebuildable_days(to_us(rebuild.moment))
                whole = rebuild.first_day <= first and rebuild.moment.date() <= rebuild.last_day
                in_no_block, unknown = await self._ledger.find(rebuild, Persist.name, whole=whole)
            products, product_days = await self._store.count_differences()
            return Settled(products, product_days, in_no_block, unknown, await self._store.worst(MOST_NAMED))

    @activity.defn(name=ADD_DIFFERENCE)
    async def add(self, plan: RebuildPlan) -> None:
        """Adds the difference to the live rows, some products at a time; what is added is taken out of it."""
        async with heartbeats():
            await self._store.load(plan.rebuild_id)
            product: str | None = ""
            while product is not None:
                product = await self._store.add_chunk(product)

    @activity.defn(name=REPAIR_LEDGER)
    async def repair(self, plan: RebuildPlan) -> None:
        async with heartbeats():
            await self._store.load(plan.rebuild_id)
            await self._ledger.repair()

    @activity.defn(name=END_REBUILD)
    async def end(self, rebuild_id: UUID) -> None:
        async with heartbeats():
            await self._store.end(rebuild_id)
