"""Erasures: nothing of the account is left, and of everybody else nothing is lost or doubled."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from activities import erasure as of_activities
from activities.persist import Persist
from activities.popularity import Popularity
from domain.erasure import ErasureInput
from domain.event_types import EventWeight
from domain.ids import earliest_id
from domain.interaction import Interaction
from domain.week import week_of
from intake import erasure as of_intake
from intake.ledger import LedgerDays
from intake.log import IntakeRow
from store.blocks.folding import fold_week
from store.blocks.protocol import Block, BlockStore
from store.postgres import Pool, driver_ids, transaction
from tests.activities.erasing import Erasures
from tests.activities.rebuilding import FAN_OUTS, Shop
from tests.factories import interaction, now_us, some_interactions

ME = "a1"
"""One of the twenty accounts of `some`."""


@pytest.fixture
def shop(any_shop: Shop) -> Shop:
    return any_shop


@pytest.fixture
def erasures(shop: Shop) -> Erasures:
    return Erasures(shop)


def some(count: int = 60, seed: int = 1) -> list[Interaction]:
    return some_interactions(count, seed=seed)


def mine(*events: Interaction) -> list[Interaction]:
    return [one for one in events if one.account_id == ME]


def not_mine(*events: Interaction) -> list[Interaction]:
    return [one for one in events if one.account_id != ME]


async def assert_right(shop: Shop, *, subtracted: bool) -> None:
    """Popularity is what it has to be, verify says so with the blocks that are left, and knows every id."""
    if subtracted:
        assert await shop.live() == shop.expected(not_mine(*shop.counted))
    else:
        await shop.assert_exact()
    await age_the_ledger(shop)
    settled = await shop.difference("verify")
    assert not settled.any, settled


async def age_the_ledger(shop: Shop) -> None:
    """As if all had been accepted an hour ago: of younger ids nobody asks where their blocks are."""
    long_ago = earliest_id(datetime.now(UTC) - timedelta(hours=1))
    await shop.pool.execute("UPDATE event_ledger SET intake_id = $1", long_ago)


@pytest.mark.parametrize("subtract", [False, True])
async def test_its_blocks_go_and_counts_are_right(shop: Shop, erasures: Erasures, subtract: bool) -> None:
    events = some(200)
    await shop.carry(*events[:100])
    await shop.carry(*events[100:])
    erased = await erasures.erase(ME, subtract=subtract)
    assert (erased.state, erased.account_id) == ("done", None)
    assert erased.counts["interactions"] == len(mine(*events)) > 5
    assert await erasures.in_blocks(ME) == {}
    for account in {one.account_id for one in not_mine(*events)}:
        theirs = {one.event_id for one in events if one.account_id == account}
        assert (await erasures.in_blocks(account)).keys() == theirs
    await assert_right(shop, subtracted=subtract)


@pytest.mark.parametrize("subtract", [False, True])
async def test_rows_under_way_wherever_they_are(shop: Shop, erasures: Erasures, subtract: bool) -> None:
    """Applied or not, persisted or not, when they are erased; the rest of their batches goes on as it was."""
    plain, applied, persisted, both = [await shop.accept(*some(60, seed)) for seed in range(4)]
    await shop.apply(applied)
    await shop.persist(persisted)
    await shop.persist(both)
    await shop.apply(both)
    work = await erasures.begin(ME, subtract=subtract)
    await erasures.go_over(work)
    for row in (plain, applied, persisted, both):  # those who had read them before
        await shop.run(Persist(shop.resources).apply, [row])
        assert await shop.run(Popularity(shop.resources).apply, [row]) == set()
    rows = await left(shop)
    for row in rows:  # their receipts follow them
        ids = [one.event_id for one in row.interactions]
        found = await shop.pool.fetch("SELECT intake_id FROM event_ledger WHERE event_id = ANY ($1)", driver_ids(ids))
        assert {one["intake_id"] for one in found} == {row.intake_id}
    assert not mine(*(one for row in rows for one in row.interactions))
    for row in rows:
        await shop.persist(row)
        await shop.apply(row)
        await shop.release(row)
    assert await erasures.in_blocks(ME) == {}
    done = await erasures.finish(work)
    every = [one for row in (plain, applied, persisted, both) for one in row.interactions]
    assert done.counts["interactions"] == len(mine(*every))
    others = {one.event_id for one in not_mine(*every)}
    kept = [await erasures.in_blocks(account) for account in {one.account_id for one in not_mine(*every)}]
    assert {event_id for of_account in kept for event_id in of_account} == others
    assert await shop.pool.fetchval("SELECT count(*) FROM intake_log") == 0
    # `counted` has what popularity had applied of the account by then, and no more.
    await assert_right(shop, subtracted=subtract)


async def left(shop: Shop) -> list[IntakeRow]:
    """What is in the log now."""
    batches = await shop.pool.fetch("SELECT DISTINCT batch_id FROM intake_log")
    return [row for batch in batches for row in await shop.log.read(batch["batch_id"])]


class Meanwhile:
    """A block store in which something happens, once, before a write or after a read."""

    def __init__(self, store: BlockStore, happens: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._happens: Callable[[], Awaitable[None]] | None = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, blocks: Sequence[Block]) -> None:
        await self._now()
        await self._store.write(blocks)

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        found = await self._store.read_exact(account_id, first_week, last_week)
        await self._now()
        return found

    async def _now(self) -> None:
        happens, self._happens = self._happens, None
        if happens is not None:
            await happens()


@pytest.mark.parametrize("subtract", [False, True])
async def test_what_is_written_after_it_was_erased_is_taken_back(
    shop: Shop, erasures: Erasures, subtract: bool
) -> None:
    """By a fan-out that was slow: it finds out by itself that its row is gone."""
    row = await shop.accept(*some())
    work = await erasures.begin(ME, subtract=subtract)
    slow = Meanwhile(shop.blocks, lambda: erasures.go_over(work))
    await shop.run(Persist(replace(shop.resources, blocks=cast("BlockStore", slow))).apply, [row])
    assert (await erasures.store.find(work.erasure_id)).counts["interactions"] == len(mine(*row.interactions))  # type: ignore[union-attr]
    assert await erasures.in_blocks(ME) == {}


@pytest.mark.parametrize("subtract", [False, True])
async def test_rows_that_become_blocks_after_the_blocks_were_read(
    shop: Shop, erasures: Erasures, subtract: bool
) -> None:
    """Some are in the log then, others not any more; some were not even accepted."""
    persisted, released, unapplied = [await shop.accept(*some(60, seed)) for seed in range(3)]
    work = await erasures.begin(ME, subtract=subtract)
    late = [interaction(account_id=ME, occurred_at=now_us() - 1_000_000) for _ in range(3)]

    async def happens() -> None:
        await shop.persist(persisted)
        await shop.apply(persisted)
        await shop.persist(released)
        await shop.apply(released)
        await shop.release(released)
        await shop.persist(unapplied)
        await shop.carry(*late)

    blocks = cast("BlockStore", Meanwhile(shop.blocks, happens))
    await erasures.run(erasures.steps(blocks).erase_interactions, work)
    assert await erasures.in_blocks(ME) == {}
    for row in await left(shop):
        await shop.persist(row)
        await shop.apply(row)
        await shop.release(row)
    await erasures.finish(work)
    await assert_right(shop, subtracted=subtract)


@pytest.mark.parametrize("subtract", [False, True])
async def test_what_a_compaction_writes_again_goes_the_second_time(
    shop: Shop, erasures: Erasures, subtract: bool
) -> None:
    """It had read the blocks before they were deleted."""
    for seed in range(3):
        await shop.carry(*some(60, seed))
    week = week_of(now_us())
    blocks = await shop.blocks.read_exact(ME, week - 1, week)
    folds = [fold_week([one for one in blocks if one.week == of]) for of in {one.week for one in blocks}]
    work = await erasures.begin(ME, subtract=subtract)
    await erasures.go_over(work)
    await shop.blocks.fold([fold for fold in folds if fold is not None])
    assert await erasures.in_blocks(ME)
    await erasures.finish(work)
    assert await erasures.in_blocks(ME) == {}
    await assert_right(shop, subtracted=subtract)


@pytest.mark.parametrize("subtract", [False, True])
async def test_who_comes_back_keeps_what_is_new(shop: Shop, erasures: Erasures, subtract: bool) -> None:
    """Also where it is in one sealed block with the old."""
    old = [interaction(account_id=ME, ref_id="cup", occurred_at=now_us() - n * 1_000) for n in range(20)]
    await shop.carry(*old)
    work = await erasures.begin(ME, subtract=subtract)
    new = [interaction(account_id=ME, ref_id="cup", event_type="purchase") for _ in range(5)]
    waiting = await shop.accept(*new[:3])
    await shop.carry(*new[3:])
    week = week_of(now_us())
    fold = fold_week(await shop.blocks.read_exact(ME, week, week))
    assert fold is not None
    await shop.blocks.fold([fold])
    await erasures.go_over(work)
    await shop.persist(waiting)
    await shop.apply(waiting)
    await shop.release(waiting)
    await erasures.finish(work)
    assert (await erasures.in_blocks(ME)).keys() == {one.event_id for one in new}
    kept = new if subtract else [*old, *new]
    assert await shop.live() == shop.expected(kept)
    assert not (await shop.difference("verify")).any


async def test_quarantined_and_discarded_ones_go_and_count_for_nothing(shop: Shop, erasures: Erasures) -> None:
    bad, gone, kept_apart = (interaction(account_id=ME, ref_id=name) for name in ("bad", "gone", "apart"))
    row = await shop.accept(bad, *some(10))
    await shop.quarantine(row, bad)
    await shop.persist(row)
    await shop.release(row)
    row = await shop.accept(gone)
    await shop.discard(row)
    await shop.persist(row)
    await shop.release(row)
    row = await shop.accept(kept_apart, *some(5, 2))
    await shop.quarantine(row, kept_apart)
    await erasures.erase(ME, subtract=True)
    assert await shop.pool.fetchval("SELECT count(*) FROM quarantine") == 0
    for row in await left(shop):
        await shop.persist(row)
        await shop.release(row)
    await assert_right(shop, subtracted=True)


async def test_a_batch_of_which_nothing_is_left_has_ended(shop: Shop, erasures: Erasures) -> None:
    row = await shop.accept(interaction(account_id=ME))
    batch = await shop.batch_of(row)
    await shop.log.park(batch, "popularity", "a test")
    await erasures.erase(ME)
    assert erasures.ended
    assert set(erasures.ended) == {batch}
    assert await shop.pool.fetchval("SELECT count(*) FROM parked") == 0
    assert await shop.pool.fetchval("SELECT event_count FROM batch_end WHERE batch_id = $1", batch) == 0


async def test_a_parked_row_is_erased_where_it_lies(shop: Shop, erasures: Erasures) -> None:
    row = await shop.accept(*some())
    batch = await shop.batch_of(row)
    await shop.log.park(batch, "popularity", "a test")
    await erasures.erase(ME)
    (now,) = await left(shop)
    assert now.interactions == not_mine(*row.interactions)
    assert now.accepted_at == row.accepted_at
    assert await shop.batch_of(now) == batch
    assert not erasures.ended


async def test_it_waits_for_a_recount_and_a_recount_for_it(shop: Shop, erasures: Erasures) -> None:
    await shop.carry(*some(100))
    plan = await shop.begin("rebuild")
    work = await erasures.begin(ME)
    with pytest.raises(ApplicationError, match="the erasure waits"):
        await erasures.run(erasures.steps().erase_interactions, work)
    await shop.recount(plan)
    await shop.settle(plan)
    await erasures.go_over(work)  # what differs is known: blocks are read no more
    await shop.add(plan)
    await shop.end(plan)
    await shop.assert_exact()
    await erasures.store.start_removing(work.erasure_id)
    with pytest.raises(ApplicationError, match="the rebuild waits"):
        await shop.begin("rebuild")
    await erasures.store.stop_removing(work.erasure_id)
    await assert_right(shop, subtracted=False)


async def test_what_is_remembered_follows_the_weights(shop: Shop, erasures: Erasures) -> None:
    await shop.carry(*some(200))
    await erasures.erase(ME)
    assert (await shop.difference()).products == 0
    shop.weights = {**shop.weights, "view": EventWeight(5_000_000, "view")}
    assert (await shop.difference("rebuild")).any
    await assert_right(shop, subtracted=False)


@pytest.mark.parametrize("subtract", [False, True])
async def test_asked_again_it_finds_nothing_and_takes_nothing(shop: Shop, erasures: Erasures, subtract: bool) -> None:
    await shop.carry(*some(200))
    first = await erasures.erase(ME, subtract=subtract)
    before = await shop.live()
    again = await erasures.erase(ME, subtract=True)
    assert again.erasure_id != first.erasure_id
    assert again.counts.get("interactions", 0) == 0
    assert await shop.live() == before
    assert not (await shop.difference("verify")).any


async def test_what_was_dated_ahead_goes_too(shop: Shop, erasures: Erasures) -> None:
    """By a client whose clock is wrong; and what comes late counts from there."""
    ahead = interaction(account_id=ME, occurred_at=now_us() + 200_000_000)
    await shop.carry(ahead)
    work = await erasures.begin(ME)
    opened = await erasures.store.open(work.erasure_id)
    assert opened is not None
    assert opened.erased_before == ahead.occurred_at + 1
    await erasures.go_over(work)
    assert await erasures.in_blocks(ME) == {}


async def test_ids_stay_known_and_receipts_say_what_became_of_them(shop: Shop, erasures: Erasures) -> None:
    """Sent again, within the window, an interaction is a duplicate; the ledger does not say whose it was."""
    one = interaction(account_id=ME)
    await shop.carry(one)
    await erasures.erase(ME)
    batch = uuid4()
    assert await shop.log.append(batch, [LedgerDays(7).file(one, now_us())]) == {one.event_id}
    assert [tuple(row) for row in await shop.pool.fetch("SELECT fan_out, reason FROM discarded_event")] == [
        ("persist", "erased")
    ]


class DiesAtError(Exception):
    pass


@pytest.mark.parametrize("subtract", [False, True])
async def test_cut_off_after_any_statement_it_goes_on_where_it_was(
    shop: Shop, erasures: Erasures, subtract: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction of PostgreSQL's in turn is the last one of a process."""
    deaths = 0
    for dies_at in range(1, 40):
        await shop.carry(*some(60, 100 + dies_at))
        row = await shop.accept(*some(60, 200 + dies_at))
        await shop.apply(row)
        left_over = iter(range(dies_at))

        def dying(pool: Pool, left_over: object = left_over) -> object:
            if next(left_over, None) is None:  # type: ignore[call-overload]
                raise DiesAtError
            return transaction(pool)

        work = await erasures.begin(ME, subtract=subtract)
        for module in (of_activities, of_intake):
            monkeypatch.setattr(module, "transaction", dying)
        died = False
        try:
            await erasures.go_over(work)
        except ApplicationError:
            died = True
        for module in (of_activities, of_intake):
            monkeypatch.setattr(module, "transaction", transaction)
        deaths += died
        await erasures.finish(work)
        for found in await left(shop):
            await shop.persist(found)
            await shop.release(found)
        if not died:
            break
    assert deaths > 5
    assert not died
    assert await erasures.in_blocks(ME) == {}
    await assert_right(shop, subtracted=subtract)


class AnyCourse:
    """One thing after the other, as chance has it."""

    def __init__(self, shop: Shop, erasures: Erasures, seed: int) -> None:
        self.shop = shop
        self.erasures = erasures
        self.random = random.Random(seed)
        self.subtract = self.random.random() < 0.5
        self.rows: list[IntakeRow] = []
        """All that were ever in the log: who has read one may be at work with it."""
        self.works: list[ErasureInput] = []

    async def step(self) -> None:
        steps = [self.accept, self.apply, self.persist, self.release, self.go_over, self.fold]
        await self.random.choices(steps, [4, 4, 4, 3, 2, 1])[0]()
        known = {row.intake_id for row in self.rows}
        self.rows += [row for row in await left(self.shop) if row.intake_id not in known]

    async def accept(self) -> None:
        events = [
            interaction(
                account_id=self.random.choice([ME, ME, "a2", "a3"]),
                event_type=self.random.choice(["view", "purchase", "add_to_cart"]),
                ref_id=f"p{self.random.randrange(4)}",
            )
            for _ in range(self.random.randrange(1, 6))
        ]
        await self.shop.accept(*events)

    async def apply(self) -> None:
        if self.rows:
            await self.shop.apply(self.random.choice(self.rows))

    async def persist(self) -> None:
        if self.rows:
            await self.shop.run(Persist(self.shop.resources).apply, [self.random.choice(self.rows)])

    async def release(self) -> None:
        batch_ids = [row["batch_id"] for row in await self.shop.pool.fetch("SELECT batch_id FROM intake_log")]
        if batch_ids:
            await self.shop.log.release(self.random.choice(batch_ids), FAN_OUTS)

    async def fold(self) -> None:
        week = week_of(now_us())
        folded = fold_week(await self.shop.blocks.read_exact(ME, week, week))
        if folded is not None:
            await self.shop.blocks.fold([folded])

    async def go_over(self) -> None:
        if len(self.works) < 3 and self.random.random() < 0.4:
            self.works.append(await self.erasures.begin(ME, subtract=self.subtract))
        elif self.works:
            await self.erasures.run(self.erasures.steps().erase_interactions, self.random.choice(self.works))

    async def end(self) -> int:
        """Everything to its end; the moment before which nothing is left."""
        for work in self.works:
            await self.erasures.go_over(work)
        for row in await left(self.shop):
            await self.shop.persist(row)
            await self.shop.apply(row)
            await self.shop.release(row)
        done = [await self.erasures.finish(work) for work in self.works]
        return max((one.erased_before or 0 for one in done), default=0)


@pytest.mark.parametrize("seed", range(8))
async def test_any_course(shop: Shop, erasures: Erasures, seed: int) -> None:
    """Rows that come, are applied, persisted, released and folded in any order around up to three erasures."""
    course = AnyCourse(shop, erasures, seed)
    for _ in range(80):
        await course.step()
    gone = await course.end()
    assert gone
    assert all(one.occurred_at >= gone for one in (await erasures.in_blocks(ME)).values())
    await age_the_ledger(shop)
    assert not (await shop.difference("verify")).any
    if course.subtract:
        kept = [one for one in shop.counted if one.account_id != ME or one.occurred_at >= gone]
        assert await shop.live() == shop.expected(kept)
    else:
        await shop.assert_exact()
