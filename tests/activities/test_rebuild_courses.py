"""Any course of live traffic around and inside a rebuild, cut off anywhere: at last popularity is the plain count."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from activities.recount import Recounting
from domain.errors import TransientError
from domain.rebuild import RebuildPlan, RecountInput
from intake.log import IntakeRow
from intake.recount import LedgerCheck, Recount
from store.blocks.folding import fold_week
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import Block
from store.postgres import Pool
from store.rebuild import RebuildStore
from tests.activities.rebuilding import Shop
from tests.factories import some_interactions

_TABLES = (
    "intake_log, applied, event_ledger, product_popularity, product_popularity_daily, interaction_block, "
    "product_popularity_forgotten, quarantine, discarded, discarded_event, batch_end"
)

_step = st.tuples(
    st.sampled_from(["accept", "accept", "apply", "apply", "persist", "persist", "release", "release",
                     "quarantine", "discard", "fold"]),
    st.integers(0, 30),
)  # fmt: skip
_steps = st.lists(_step, max_size=12)


@dataclass
class Course:
    """Live traffic, step by step. Each step is done to one of the rows that it can be done to, if there is one."""

    shop: Shop

    def __post_init__(self) -> None:
        self.seed = 0
        self.rows: list[IntakeRow] = []
        self.applied: set[int] = set()
        self.persisted: set[int] = set()
        self.released: set[int] = set()

    async def take(self, steps: Sequence[tuple[str, int]]) -> None:
        for name, number in steps:
            await self._take(name, number)

    async def _take(self, name: str, number: int) -> None:
        if name == "accept":
            self.seed += 1
            self.rows.append(await self.shop.accept(*some_interactions(1 + number % 9, seed=self.seed)))
        elif name == "fold":
            await self._fold(f"a{number % 20}")
        else:
            able = self._able(name)
            if able:
                place = able[number % len(able)]
                await getattr(self, f"_{name}")(place, self.rows[place])

    def _able(self, name: str) -> list[int]:
        every = range(len(self.rows))
        if name == "persist":
            return [n for n in every if n not in self.persisted]
        if name == "release":
            return [n for n in every if n in self.persisted and n in self.applied and n not in self.released]
        return [n for n in every if n not in self.applied]

    async def _apply(self, place: int, row: IntakeRow) -> None:
        self.applied.add(place)
        await self.shop.apply(row)

    async def _quarantine(self, place: int, row: IntakeRow) -> None:
        self.applied.add(place)
        await self.shop.quarantine(row, row.interactions[0])

    async def _discard(self, place: int, row: IntakeRow) -> None:
        self.applied.add(place)
        await self.shop.discard(row)

    async def _persist(self, place: int, row: IntakeRow) -> None:
        self.persisted.add(place)
        await self.shop.persist(row)

    async def _release(self, place: int, row: IntakeRow) -> None:
        self.released.add(place)
        await self.shop.release(row)

    async def _fold(self, account: str) -> None:
        weeks: dict[int, list[Block]] = {}
        for block in await self.shop.blocks.read_exact(account, 0, 2**31 - 1):
            weeks.setdefault(block.week, []).append(block)
        folds = [fold_week(of_week) for of_week in weeks.values()]
        await self.shop.blocks.fold([fold for fold in folds if fold is not None])

    async def finish(self) -> None:
        """The rest of the way of every row."""
        for name in ("persist", "apply", "release"):
            while self._able(name):
                await self._take(name, 0)


class Interrupted(PostgresBlockStore):
    """Takes some steps of a course whenever blocks were read and are not looked at yet."""

    def __init__(self, pool: Pool, course: Course, steps: list[tuple[str, int]]) -> None:
        super().__init__(pool)
        self._course = course
        self._steps = steps
        self._turn = asyncio.Lock()
        self._taken: list[asyncio.Task[None]] = []

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        blocks = await super().read_exact(account_id, first_week, last_week)
        steps, self._steps[:] = self._steps[:2], self._steps[2:]
        self._taken.append(asyncio.create_task(self._take(steps)))
        await asyncio.shield(self._taken[-1])
        return blocks

    async def _take(self, steps: list[tuple[str, int]]) -> None:
        """Live traffic goes on where the recount is cut off."""
        async with self._turn:
            await self._course.take(steps)

    async def quiet(self) -> None:
        await asyncio.gather(*self._taken)


class Cuts:
    """Makes calls of the stores end in TransientError, before they have an effect or after it."""

    CALLS = (
        (RebuildStore, ("write_base", "note_base", "add", "piece", "move_piece", "keep_found", "stop_noting",
                        "count_differences", "worst", "add_chunk", "end", "load")),
        (Recount, ("note_logged", "not_before")),
        (LedgerCheck, ("find", "repair")),
    )  # fmt: skip

    def __init__(self, at: set[int]) -> None:
        self._at = at
        self.calls = 0
        self.is_on = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for kind, names in self.CALLS:
                for name in names:
                    patch.setattr(kind, name, self._cut(getattr(kind, name)))
            yield

    def _cut(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def cut(*args: Any, **kwargs: Any) -> Any:
            if not self.is_on:
                return await call(*args, **kwargs)
            self._die()
            result = await call(*args, **kwargs)
            self._die()
            return result

        return cut

    def _die(self) -> None:
        self.calls += 1
        if self.calls in self._at:
            raise TransientError(f"cut off at {self.calls}")

    async def retried(self, activity: Callable[..., Any], *arguments: Any) -> Any:
        """As Temporal does it; how often it may fail is how often it is cut off."""
        for _ in range(len(self._at) + 1):
            self.is_on = True
            try:
                return await activity(*arguments)
            except ApplicationError as error:
                if error.type != "TransientError":
                    raise
            finally:
                self.is_on = False
        raise AssertionError("it fails for ever")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.recount._EVENTS_A_LOOK", 4)
    monkeypatch.setattr("activities.recount._EVENTS_A_PIECE", 10)
    monkeypatch.setattr("store.blocks.scan._READS_AT_ONCE", 3)
    monkeypatch.setattr("activities.rebuild._DAYS_A_WRITE", 5)
    monkeypatch.setattr("store.rebuild._PRODUCTS_A_CHUNK", 7)


@pytest.fixture
def shop(pool: Pool) -> Shop:
    return Shop.on_postgres(pool)


async def started(shop: Shop, *, broken: bool = True) -> Course:
    """An empty Footfall, then some traffic, then counts that are wrong."""
    await shop.pool.execute(f"TRUNCATE {_TABLES}")
    shop.counted.clear()
    course = Course(shop)
    for seed in (101, 102):
        await shop.carry(*some_interactions(30, seed=seed))
    if broken:
        await shop.pool.execute("UPDATE product_popularity SET score = score + 3 WHERE product_id < 'p15'")
        await shop.pool.execute("DELETE FROM product_popularity_daily WHERE product_id < 'p2'")
    return course


async def rebuild(shop: Shop, course: Course, cuts: Cuts, parts: Sequence[list[tuple[str, int]]]) -> None:
    """With the parts of the course before, inside, and after the recount, and after the addition."""
    before, inside, after, later = parts
    plan: RebuildPlan = await cuts.retried(lambda: shop.begin("repair", rebuild_id=_ID))
    await course.take(before)
    blocks = Interrupted(shop.pool, course, list(inside))
    work = RecountInput(plan.rebuild_id, *plan.ranges[0], plan.first_week, plan.last_week)
    await cuts.retried(lambda: shop.run(Recounting(shop.pool, blocks).recount, work))
    await blocks.quiet()
    await course.take(after)
    await cuts.retried(lambda: shop.settle(plan))
    await cuts.retried(lambda: shop.add(plan))
    await course.take(later)
    await cuts.retried(lambda: shop.repair(plan))
    await cuts.retried(lambda: shop.end(plan))


_ID = UUID(int=7)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    parts=st.lists(_steps, min_size=5, max_size=5),
    cut_at=st.sets(st.integers(1, 120), max_size=3),
)
async def test_any_course_ends_in_the_plain_count(
    shop: Shop, parts: list[list[tuple[str, int]]], cut_at: set[int]
) -> None:
    course = await started(shop)
    cuts = Cuts(cut_at)
    with cuts.installed():
        await course.take(parts[0])
        await rebuild(shop, course, cuts, parts[1:])
        await course.finish()
    await shop.assert_exact()
    await shop.assert_nothing_is_on()


async def test_cut_off_at_each_step_in_turn(shop: Shop) -> None:
    """Traffic of every kind is under way, and each call of a store in turn is the last one of its process."""
    parts = [
        [("accept", 8), ("persist", 0), ("accept", 8), ("apply", 1), ("accept", 3)],
        [("accept", 5), ("persist", 0), ("apply", 0)],
        [("persist", 0), ("apply", 0), ("release", 0), ("accept", 6), ("persist", 2), ("apply", 1)],
        [("release", 0), ("apply", 0)],
        [("apply", 0), ("persist", 0)],
    ]
    deaths = 0
    for at in range(1, 500):
        course = await started(shop)
        cuts = Cuts({at})
        with cuts.installed():
            await course.take(parts[0])
            await rebuild(shop, course, cuts, parts[1:])
            await course.finish()
        await shop.assert_exact()
        await shop.assert_nothing_is_on()
        if cuts.calls < at:
            break
        deaths += 1
    assert deaths > 60
