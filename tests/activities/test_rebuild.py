"""A rebuild of popularity: the difference is exact, whatever is under way beside it."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from asyncpg.transaction import Transaction
from temporalio.exceptions import ApplicationError

from activities.popularity import Popularity
from activities.recount import Recounting
from domain.event_types import EventWeight
from domain.interaction import Interaction
from domain.rebuild import RecountInput, rebuildable_days
from domain.week import week_of, week_start_us
from store.blocks.folding import fold_week
from store.popularity import PopularityStore, count_popularity
from store.postgres import Connection, Pool, transaction
from store.rebuild import Rebuild, RebuildStore
from tests.activities.rebuilding import Shop
from tests.conftest import eventually
from tests.factories import interaction, now_us, some_interactions

DAY_US = 86_400_000_000


@pytest.fixture
def shop(pool: Pool) -> Shop:
    return Shop.on_postgres(pool)


def some(count: int = 20, seed: int = 1) -> list[Interaction]:
    return some_interactions(count, seed=seed)


async def test_nothing_differs_where_all_is_right(any_shop: Shop) -> None:
    await any_shop.carry(*some(90))
    await any_shop.carry(*some(90, 2))
    plan = await any_shop.begin("compare")
    done = await any_shop.recount(plan)
    settled = await any_shop.settle(plan)
    assert (settled.products, settled.product_days, settled.worst) == (0, 0, [])
    assert (done.accounts, done.events) == (20, 180)
    assert 0 < done.counted < 180
    await any_shop.end(plan)
    await any_shop.assert_exact()
    await any_shop.assert_nothing_is_on()


async def test_rows_wherever_they_are_when_it_begins_and_wherever_they_go(any_shop: Shop) -> None:
    """Persisted and applied or not, before the moment or after it, while blocks are read or later."""
    released, logged, marked, persisted, both, after = [some(15, seed) for seed in range(6)]
    await any_shop.carry(*released)
    in_log, only_marked, only_persisted, in_both = [
        await any_shop.accept(*one) for one in (logged, marked, persisted, both)
    ]
    await any_shop.apply(only_marked)
    await any_shop.persist(only_persisted)
    await any_shop.persist(in_both)
    await any_shop.apply(in_both)
    await any_shop.pool.execute("DELETE FROM product_popularity WHERE product_id < 'p2'")
    await any_shop.pool.execute("UPDATE product_popularity_daily SET view_count = view_count + 7")

    plan = await any_shop.begin()
    await any_shop.carry(*after)
    await any_shop.persist(in_log)  # in a block, and not applied before the recount is done
    await any_shop.apply(only_persisted)
    await any_shop.release(only_persisted)
    await any_shop.persist(only_marked)
    await any_shop.release(only_marked)
    await any_shop.recount(plan)
    await any_shop.apply(in_log)
    assert (await any_shop.settle(plan)).any
    await any_shop.add(plan)
    await any_shop.end(plan)
    await any_shop.assert_exact()
    assert not (await any_shop.difference()).any


async def test_what_popularity_does_without_is_left_out(any_shop: Shop) -> None:
    """Quarantined or discarded before the moment or after it, released or not."""
    early, late, given_up, given_up_late, still_there, dropped = [some(10, seed) for seed in range(6)]
    rows = {
        n: await any_shop.accept(*one) for n, one in enumerate((early, late, given_up, given_up_late, still_there))
    }
    await any_shop.quarantine(rows[0], early[0])
    await any_shop.discard(rows[2])
    await any_shop.quarantine(rows[4], still_there[1])
    for n in (0, 2):
        await any_shop.persist(rows[n])
        await any_shop.release(rows[n])
    drop = await any_shop.accept(*dropped)
    await any_shop.discard(drop)  # marked, not released and not persisted at the moment
    plan = await any_shop.begin()
    for n in (1, 3, 4):
        await any_shop.persist(rows[n])
    await any_shop.persist(drop)
    await any_shop.quarantine(rows[1], late[2])
    await any_shop.discard(rows[3])
    await any_shop.recount(plan)
    await any_shop.add(plan)
    await any_shop.end(plan)
    await any_shop.assert_exact()
    assert not (await any_shop.difference()).any


async def test_interactions_in_a_delta_and_in_a_sealed_block_count_once(any_shop: Shop) -> None:
    events = [interaction(account_id="a", ref_id="cup") for _ in range(5)]
    await any_shop.carry(*events)
    await any_shop.carry(interaction(account_id="a", ref_id="cup"))
    week = week_of(now_us())
    deltas = await any_shop.blocks.read_exact("a", week, week)
    fold = fold_week(deltas)
    assert fold is not None
    await any_shop.blocks.fold([fold])
    await any_shop.blocks.write(deltas)  # as a worker does that was slow
    assert len(await any_shop.blocks.read_exact("a", week, week)) == 3
    assert not (await any_shop.difference()).any


async def test_rows_that_must_not_be_there_vanish_and_missing_ones_come(shop: Shop) -> None:
    await shop.carry(*some(60))
    add = "INSERT INTO product_popularity{} VALUES ({}'never seen', 5, 4, 3, 2, 1, 0, now())"
    await shop.pool.execute(add.format("", ""))
    await shop.pool.execute(add.format("_daily", "'today', "))
    await shop.pool.execute("DELETE FROM product_popularity_daily WHERE product_id < 'p15'")
    await shop.pool.execute("DELETE FROM product_popularity WHERE product_id = 'p3'")
    settled = await shop.difference("rebuild")
    assert {(one.product_id, one.live.views, one.recount.views) for one in settled.worst} >= {("never seen", 4, 0)}
    await shop.assert_exact()
    for table in ("product_popularity", "product_popularity_daily"):
        assert await shop.pool.fetchval(f"SELECT count(*) FROM {table} WHERE product_id = 'never seen'") == 0


async def test_comparing_changes_nothing(shop: Shop) -> None:
    await shop.carry(*some(60))
    await shop.pool.execute("UPDATE product_popularity SET score = 0")
    before = await shop.live()
    assert (await shop.difference("compare")).products > 20
    assert await shop.live() == before


async def test_changed_weights(shop: Shop, pool: Pool) -> None:
    """Compared first by the table itself, then the workers have it and it is rebuilt."""
    await shop.carry(*some(80))
    row = await shop.accept(*some(20, 2))
    await shop.apply(row)
    changed = {"view": EventWeight(7, "cart"), "unheard_of": EventWeight(-3, None)}
    told = await shop.difference("compare", weights=changed)
    assert told.products > 20
    with pytest.raises(ApplicationError, match="only compare"):
        await shop.begin("rebuild", weights=changed)
    shop.weights = changed
    again = await shop.difference("rebuild")
    assert (again.products, again.worst) == (told.products, told.worst)
    await shop.persist(row)
    await shop.release(row)
    await shop.assert_exact()
    assert not (await shop.difference()).any


async def test_days_that_are_not_recounted_stay_what_they_are(shop: Shop) -> None:
    """Of part of the days, totals are mended nevertheless: they are what is forgotten and the sum of their days."""
    today = datetime.now(UTC).date()
    events = [
        interaction(account_id=f"a{ago}", ref_id="cup", occurred_at=now_us() - ago * DAY_US) for ago in range(30)
    ]
    await shop.carry(*events)
    await shop.pool.execute("UPDATE product_popularity_daily SET score = score + 1")
    await shop.pool.execute("UPDATE product_popularity SET score = 0")
    days = [today - timedelta(days=ago) for ago in (9, 5)]
    settled = await shop.difference("rebuild", days=(days[0].isoformat(), days[1].isoformat()))
    assert (settled.products, settled.product_days) == (1, 5)
    wrong = "SELECT count(*) FROM product_popularity_daily WHERE score % 10 <> 0"
    assert await shop.pool.fetchval(wrong) == 25
    total = "SELECT score FROM product_popularity"
    assert await shop.pool.fetchval(total) == 30 * 300_000 + 25
    await shop.difference("rebuild")
    await shop.assert_exact()


async def test_what_is_out_of_keep_stays_in_totals(shop: Shop) -> None:
    """Its daily rows are forgotten, its blocks are gone: nothing of that is a difference."""
    first, _ = rebuildable_days(now_us())
    old = [interaction(account_id="a", ref_id="cup", occurred_at=week_start_us(week_of(now_us()) - 24))]
    await shop.carry(*some(20), *old)
    await PopularityStore(shop.pool).forget_days(first)
    await shop.pool.execute("DELETE FROM interaction_block WHERE account_id = 'a'")
    assert not (await shop.difference("rebuild")).any
    assert (await shop.live())[0] == shop.expected()[0]
    await shop.pool.execute("DELETE FROM product_popularity WHERE product_id = 'cup'")
    assert (await shop.difference("rebuild")).products == 1
    assert (await shop.live())[0] == shop.expected()[0]


async def test_it_waits_for_who_applies_and_who_comes_later_waits_for_it(shop: Shop) -> None:
    """Otherwise an apply that never ends, or one after the other without a gap, would keep it from its moment."""
    first, second = [await shop.accept(*some(10, seed)) for seed in (1, 2)]
    store = PopularityStore(shop.pool)
    rebuild_id = uuid4()

    async def waiting(count: int) -> None:
        assert await shop.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") == count

    async with transaction(shop.pool) as connection:
        assert not await store.is_noting(connection)
        beginning = asyncio.create_task(shop.begin(rebuild_id=rebuild_id))
        await eventually(lambda: waiting(1))
        applying = asyncio.create_task(shop.apply(second))
        await eventually(lambda: waiting(2))
        fresh = await shop.log.mark(connection, Popularity.name, [first])
        assert fresh == {first.intake_id}
        await store.add(connection, count_popularity(first.interactions, shop.weights))
        shop.counted += first.interactions
    plan = await beginning
    await applying
    for row in (first, second):
        await shop.persist(row)
        await shop.release(row)
    await shop.recount(plan)
    assert not (await shop.settle(plan)).any
    await shop.end(plan)
    await shop.assert_exact()


async def test_nothing_is_applied_between_the_moment_and_the_first_note(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is slow at the wrong time: what goes the whole way meanwhile would be live before the moment,
    and noted as after it.
    """
    original = Transaction.start
    carrying: list[asyncio.Task[None]] = []

    async def is_done_or_waits() -> None:
        waiting = await shop.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
        assert waiting or carrying[0].done()

    async def start(transaction: Transaction) -> None:
        if getattr(transaction, "_isolation", None) == "repeatable_read":
            carrying.append(asyncio.create_task(shop.carry(*some(10))))
            await eventually(is_done_or_waits)
        await original(transaction)

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "start", start)
        plan = await shop.begin("compare")
    await carrying[0]
    await shop.recount(plan)
    assert not (await shop.settle(plan)).any
    await shop.end(plan)


async def test_one_rebuild_at_a_time(shop: Shop) -> None:
    plan = await shop.begin()
    with pytest.raises(ApplicationError, match="footfall rebuild stop") as refused:
        await shop.begin()
    assert (refused.value.type, refused.value.non_retryable) == ("ConflictError", True)
    await shop.end(plan)
    with pytest.raises(ApplicationError, match="has ended"):
        await shop.recount(plan)
    await shop.end(await shop.begin())
    await shop.assert_nothing_is_on()


async def test_an_attempt_to_begin_that_was_given_up_is_waited_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds a moment, and would write its base beside that of the next attempt."""
    await shop.carry(*some(40))
    original = RebuildStore.write_base
    slow, go_on = asyncio.Event(), asyncio.Event()

    async def write_base(store: RebuildStore, connection: Connection, rebuild: Rebuild) -> None:
        slow.set()
        await go_on.wait()
        await original(store, connection, rebuild)

    rebuild_id = uuid4()
    with monkeypatch.context() as patch:
        patch.setattr(RebuildStore, "write_base", write_base)
        beginning = asyncio.create_task(shop.begin("compare", rebuild_id=rebuild_id))
        await slow.wait()
    await shop.carry(*some(40, 2))
    try:
        with pytest.raises(ApplicationError, match="another attempt") as refused:
            await shop.begin("compare", rebuild_id=rebuild_id)
    finally:
        go_on.set()
        plan = await beginning
    assert refused.value.type == "TransientError"
    assert await shop.begin("compare", rebuild_id=rebuild_id) == plan
    await shop.recount(plan)
    assert not (await shop.settle(plan)).any
    await shop.end(plan)


async def test_two_attempts_at_the_same_time_count_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One was given up as lost, and is not: of the two, one gives up at its first write, and is run again."""
    await shop.carry(*some(200))
    monkeypatch.setattr("activities.recount._EVENTS_A_PIECE", 15)
    plan = await shop.begin("compare")
    ended = await asyncio.gather(*(shop.recount(plan) for _ in range(3)), return_exceptions=True)
    failed = [one for one in ended if isinstance(one, BaseException)]
    assert failed
    assert all(isinstance(one, ApplicationError) and one.type == "TransientError" for one in failed)
    done = await shop.recount(plan)
    assert done.events == 200
    assert not (await shop.settle(plan)).any
    await shop.end(plan)


async def test_two_attempts_to_add_add_once_beside_live_traffic(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.carry(*some(200))
    await shop.pool.execute("UPDATE product_popularity SET score = score * 2")
    await shop.pool.execute("UPDATE product_popularity_daily SET view_count = 0")
    monkeypatch.setattr("store.rebuild._PRODUCTS_A_CHUNK", 3)
    plan = await shop.begin()
    await shop.recount(plan)
    rows = [await shop.accept(*some(50, seed)) for seed in range(2, 8)]
    await asyncio.gather(*(shop.add(plan) for _ in range(3)), *(shop.apply(row) for row in rows))
    await shop.end(plan)
    await shop.assert_exact()


async def test_a_block_that_can_not_be_read_ends_it(shop: Shop) -> None:
    """Its interactions would be taken away from what is live."""
    await shop.carry(*some(200))
    await shop.pool.execute("UPDATE interaction_block SET data = '\\x0200' WHERE account_id = 'a3'")
    plan = await shop.begin()
    with pytest.raises(ApplicationError, match="a3") as failed:
        await shop.recount(plan)
    assert (failed.value.type, failed.value.non_retryable) == ("CorruptBlockError", True)
    await shop.end(plan)
    await shop.assert_exact()


async def test_accounts_are_gone_on_with_behind_the_note(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt reads none of the accounts that an earlier one has written."""
    await shop.carry(*some(200))
    monkeypatch.setattr("activities.recount._EVENTS_A_PIECE", 1)
    plan = await shop.begin("compare")
    read: list[str] = []

    class Reading(type(shop.blocks)):  # type: ignore[misc]
        async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[object]:
            read.append(account_id)
            if account_id == "a7":
                raise ConnectionError
            found: list[object] = await super().read_exact(account_id, first_week, last_week)
            return found

    work = RecountInput(plan.rebuild_id, *plan.ranges[0], plan.first_week, plan.last_week)
    with pytest.raises(ApplicationError):
        await shop.run(Recounting(shop.pool, Reading(shop.pool)).recount, work)
    assert read[:3] == ["a0", "a1", "a10"]
    monkeypatch.undo()
    noted = await shop.pool.fetchval("SELECT after_account FROM rebuild_piece")
    assert noted == "a6"
    read.clear()
    with pytest.raises(ApplicationError):
        await shop.run(Recounting(shop.pool, Reading(shop.pool)).recount, work)
    assert min(read) == "a7"
    await shop.recount(plan)
    assert not (await shop.settle(plan)).any
    await shop.end(plan)


async def test_ids_in_blocks_are_looked_up_in_the_same_moment_as_rows(shop: Shop) -> None:
    """A row that is applied between the reading of its block and the look was not applied before the moment."""
    row = await shop.accept(*some(10))
    await shop.persist(row)
    plan = await shop.begin("compare")
    applied = False

    class Applying(type(shop.blocks)):  # type: ignore[misc]
        async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[object]:
            nonlocal applied
            found: list[object] = await super().read_exact(account_id, first_week, last_week)
            if not applied:
                applied = True
                await shop.apply(row)
                await shop.release(row)
            return found

    work = RecountInput(plan.rebuild_id, *plan.ranges[0], plan.first_week, plan.last_week)
    done = await shop.run(Recounting(shop.pool, Applying(shop.pool)).recount, work)
    assert (done.events, done.counted) == (10, 0)
    assert not (await shop.settle(plan)).any
    await shop.end(plan)


async def test_ledger_and_blocks_are_held_against_each_other(shop: Shop) -> None:
    kept = some(30)
    await shop.carry(*kept)
    lost, given_up, poison, logged = [some(3, seed) for seed in (2, 3, 4, 5)]
    rows = [await shop.accept(*one) for one in (lost, given_up, poison, logged)]
    await shop.discard(rows[1], "persist")
    await shop.pool.executemany(
        "INSERT INTO quarantine SELECT 'persist', $1, $2, $2, 'a', 'a test', ''",
        [(UUID(bytes=one.event_id), rows[2].intake_id) for one in poison],
    )
    await shop.pool.execute("DELETE FROM intake_log WHERE intake_id <> $1", rows[3].intake_id)
    late = uuid4()
    await shop.pool.execute("INSERT INTO event_ledger VALUES ('1970-01-01', $1, $1)", late)
    unknown = UUID(bytes=kept[0].event_id)
    await shop.pool.execute("DELETE FROM event_ledger WHERE event_id = $1", unknown)
    # All were accepted an hour ago, but for one that may not be committed yet for all that the ids say.
    aged = "intake_id = overlay(intake_id::text placing $1 from 1 for 13)::uuid"
    head, fresh = _id_head(minutes_ago=60), UUID(bytes=lost[0].event_id)
    await shop.pool.execute(f"UPDATE intake_log SET {aged}", head)
    await shop.pool.execute(f"UPDATE event_ledger SET {aged} WHERE event_id <> $2", head, fresh)
    settled = await shop.difference("verify")
    assert (settled.in_no_block, settled.unknown_to_ledger) == (2, 1)
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    part = await shop.difference("verify", days=(yesterday, None))
    assert part.in_no_block == 0
    await shop.difference("repair")
    again = await shop.difference("verify")
    assert (again.in_no_block, again.unknown_to_ledger) == (0, 0)
    known = {row[0] for row in await shop.pool.fetch("SELECT event_id FROM event_ledger")}
    assert unknown in known
    assert late in known
    assert {UUID(bytes=one.event_id) for one in lost} & known == {fresh}


def _id_head(*, minutes_ago: int) -> str:
    millis = int((datetime.now(UTC) - timedelta(minutes=minutes_ago)).timestamp() * 1000)
    return f"{millis >> 16:08x}-{millis & 0xFFFF:04x}"
