"""A Footfall without processes: each step of live traffic and of a rebuild, one by one, in any order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from temporalio.testing import ActivityEnvironment

from activities.fan_out import Resources
from activities.persist import Persist
from activities.popularity import Popularity
from activities.rebuild import Rebuilding
from activities.recount import Recounting
from domain.event_types import EventWeight, load_event_weights
from domain.ids import new_id
from domain.interaction import Interaction
from domain.rebuild import BeginInput, Purpose, RebuildPlan, RecountInput, RecountResult, Settled
from intake.ledger import LedgerDays, now_us
from intake.log import IntakeLog, IntakeRow, Poison
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import BlockStore
from store.popularity import by_product, columns, count_popularity
from store.postgres import Pool
from store.signals_postgres import PostgresSignalStore

WINDOW_DAYS = 7
FAN_OUTS = ["persist", "popularity"]

Counts = dict[object, tuple[int, ...]]


@dataclass
class Shop:
    pool: Pool
    blocks: BlockStore
    weights: dict[str, EventWeight] = field(default_factory=load_event_weights)
    counted: list[Interaction] = field(default_factory=list)
    """What popularity has applied, by the tests' own account."""

    @classmethod
    def on_postgres(cls, pool: Pool) -> "Shop":
        return cls(pool, PostgresBlockStore(pool))

    @property
    def log(self) -> IntakeLog:
        return IntakeLog(self.pool)

    @property
    def resources(self) -> Resources:
        return Resources(self.pool, self.log, self.blocks, PostgresSignalStore(self.pool), self.weights)

    # Live traffic.

    async def accept(self, *events: Interaction) -> IntakeRow:
        """One intake row in a batch of its own."""
        batch = new_id()
        days = LedgerDays(WINDOW_DAYS)
        filed = [days.file(one, now_us()) for one in events]
        await self.log.append(batch, filed)
        (row,) = await self.log.read(batch)
        return row

    async def batch_of(self, row: IntakeRow) -> UUID:
        found: UUID = await self.pool.fetchval("SELECT batch_id FROM intake_log WHERE intake_id = $1", row.intake_id)
        return found

    async def apply(self, row: IntakeRow) -> None:
        if await self.run(Popularity(self.resources).apply, [row]):
            self.counted += row.interactions

    async def persist(self, row: IntakeRow) -> None:
        await self.run(Persist(self.resources).apply, [row])

    async def release(self, row: IntakeRow) -> None:
        released = await self.log.release(await self.batch_of(row), FAN_OUTS)
        assert released.released_rows == 1

    async def carry(self, *events: Interaction) -> None:
        """The whole way."""
        row = await self.accept(*events)
        await self.persist(row)
        await self.apply(row)
        await self.release(row)

    async def quarantine(self, row: IntakeRow, poison: Interaction) -> None:
        """Applies a row of popularity less one, which is kept apart; in one transaction."""
        rest = [one for one in row.interactions if one != poison]
        await self.apply(IntakeRow(row.intake_id, row.accepted_at, rest, [Poison(poison, "a test")]))

    async def discard(self, row: IntakeRow, fan_out: str = "popularity") -> None:
        await self.log.discard(await self.batch_of(row), fan_out, "a test", [row])

    # A rebuild.

    async def begin(
        self,
        purpose: Purpose = "rebuild",
        *,
        rebuild_id: UUID | None = None,
        days: tuple[str | None, str | None] = (None, None),
        weights: dict[str, EventWeight] | None = None,
    ) -> RebuildPlan:
        asked = BeginInput(rebuild_id or uuid4(), purpose, *days, weights)
        plan: RebuildPlan = await self.run(self.rebuilding.begin, asked)
        return plan

    async def recount(self, plan: RebuildPlan) -> RecountResult:
        done = RecountResult()
        for start, end in plan.ranges:
            work = RecountInput(plan.rebuild_id, start, end, plan.first_week, plan.last_week)
            done = done.plus(await self.run(Recounting(self.pool, self.blocks).recount, work))
        return done

    async def settle(self, plan: RebuildPlan) -> Settled:
        settled: Settled = await self.run(self.rebuilding.settle, plan)
        return settled

    async def add(self, plan: RebuildPlan) -> None:
        await self.run(self.rebuilding.add, plan)

    async def repair(self, plan: RebuildPlan) -> None:
        await self.run(self.rebuilding.repair, plan)

    async def end(self, plan: RebuildPlan) -> None:
        await self.run(self.rebuilding.end, plan.rebuild_id)

    async def difference(self, purpose: Purpose = "compare", **fields: Any) -> Settled:
        """What a whole rebuild finds; with the purpose `rebuild` or `repair` it is added too."""
        plan = await self.begin(purpose, **fields)
        await self.recount(plan)
        settled = await self.settle(plan)
        if purpose in {"rebuild", "repair"}:
            await self.add(plan)
        if purpose == "repair":
            await self.repair(plan)
        await self.end(plan)
        return settled

    @property
    def rebuilding(self) -> Rebuilding:
        return Rebuilding(self.pool, self.blocks, self.weights, window_days=WINDOW_DAYS)

    # What is there.

    async def live(self) -> tuple[Counts, Counts]:
        """Totals and days, those that are not nothing."""
        counts = "score, view_count, purchase_count, favorite_count, cart_count, review_count"
        totals = await self.pool.fetch(f"SELECT product_id, {counts} FROM product_popularity")
        daily = await self.pool.fetch(f"SELECT day, product_id, {counts} FROM product_popularity_daily")
        return (
            {row[0]: tuple(row)[1:] for row in totals if any(tuple(row)[1:])},
            {(row[0], row[1]): tuple(row)[2:] for row in daily if any(tuple(row)[2:])},
        )

    def expected(self, events: Iterable[Interaction] | None = None) -> tuple[Counts, Counts]:
        """What plain counting gives."""
        daily = count_popularity(self.counted if events is None else events, self.weights)
        return _counts(by_product(daily)), _counts(daily)

    async def assert_exact(self) -> None:
        assert await self.live() == self.expected()

    async def assert_nothing_is_on(self) -> None:
        assert tuple(await self.pool.fetchrow("SELECT rebuild_id, noting FROM popularity_state") or ()) == (
            None,
            False,
        )
        for table in ("rebuild", "rebuild_total", "rebuild_daily", "rebuild_piece", "rebuild_found"):
            assert await self.pool.fetchval(f"SELECT count(*) FROM {table}") == 0

    async def run(self, activity: Callable[..., Any], *arguments: object) -> Any:
        return await ActivityEnvironment().run(activity, *arguments)


def _counts(deltas: Any) -> Counts:
    found = {key: tuple(column[0] for column in columns([delta])) for key, delta in deltas.items()}
    return {key: counts for key, counts in found.items() if any(counts)}
