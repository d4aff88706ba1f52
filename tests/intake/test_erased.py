"""The front door and erased accounts: what occurred before is not recorded, what occurs after is."""

from datetime import timedelta

import pytest

from domain.errors import TransientError
from domain.ids import new_id
from intake import erased
from intake.commit import GroupCommit
from intake.dispatch import Dispatcher
from intake.erased import ErasedAccounts
from intake.late import LateEvents
from intake.ledger import LedgerDays
from intake.log import IntakeLog
from store.blocks.postgres import PostgresBlockStore
from store.erasure import ErasureStore
from store.postgres import Pool, create_pool
from tests.conftest import eventually
from tests.factories import interaction, new_interaction, now_us

DAY_US = 86_400_000_000


@pytest.fixture
def store(pool: Pool) -> ErasureStore:
    return ErasureStore(pool)


async def erase(store: ErasureStore, account_id: str) -> int:
    """The moment before which all is erased."""
    asked = await store.ask(account_id, subtract=False)
    await store.fix_moment(asked.erasure_id, 0)
    found = await store.find(asked.erasure_id)
    assert found is not None
    assert found.erased_before is not None
    return found.erased_before


async def test_what_occurred_before_is_late_and_nobody_elses_is(pool: Pool, store: ErasureStore) -> None:
    before = await erase(store, "alice")
    old = [new_interaction(account_id="alice", occurred_at=at) for at in (before - 1, before - 100 * DAY_US)]
    others = [
        new_interaction(account_id="alice", occurred_at=before),
        new_interaction(account_id="bob", occurred_at=before - 1),
    ]
    late = await ErasedAccounts(pool).late([*old, *others])
    assert late == {one.interaction.event_id for one in old}


async def test_the_newest_erasure_of_an_account_counts_and_lasts_when_it_is_done(
    pool: Pool, store: ErasureStore
) -> None:
    await erase(store, "alice")
    newest = await erase(store, "alice")
    asked = await store.find((await store.under_way(timedelta(0), 10))[-1])
    assert asked is not None
    await store.finish(asked.erasure_id)
    one = new_interaction(account_id="alice", occurred_at=newest - 1)
    assert await ErasedAccounts(pool).late([one]) == {one.interaction.event_id}


async def test_an_erasure_that_has_not_begun_keeps_nobody_out(pool: Pool, store: ErasureStore) -> None:
    await store.ask("alice", subtract=False)
    assert await ErasedAccounts(pool).late([new_interaction(account_id="alice", occurred_at=0)]) == set()


async def test_what_is_known_is_read_again(pool: Pool, store: ErasureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the requests first, before them where it is old."""
    known = ErasedAccounts(pool)
    one = new_interaction(account_id="alice", occurred_at=now_us() - DAY_US)
    assert await known.late([one]) == set()
    await erase(store, "alice")
    assert await known.late([one]) == set()
    monkeypatch.setattr(erased, "FRESH_S", 0.0)

    async def heard() -> None:
        assert await known.late([one])

    await eventually(heard)
    monkeypatch.setattr(erased, "STALE_S", 0.0)
    before = await erase(store, "bob")
    assert await known.late([new_interaction(account_id="bob", occurred_at=before - 1)])


async def test_who_can_not_know_lets_nobody_in(pool: Pool) -> None:
    async with create_pool("postgresql://nobody@127.0.0.1:1/none", name="test", size=1, timeout_s=1) as gone:
        with pytest.raises(TransientError):
            await ErasedAccounts(gone).late([new_interaction()])


async def test_late_ones_count_as_duplicates_and_the_rest_of_a_request_is_recorded(
    pool: Pool, store: ErasureStore
) -> None:
    async def start(_batch: object, _events: int) -> None: ...

    dispatcher = Dispatcher(start, max_events=1_000, max_age_s=0.01, pace_s=0, give_up_s=1)
    late_events = LateEvents(pool, PostgresBlockStore(pool), 7)
    commit = GroupCommit(IntakeLog(pool), dispatcher, late_events, max_events=500)
    before = await erase(store, "alice")
    days = LedgerDays(7)
    old, new = (
        days.file(interaction(account_id="alice", occurred_at=at), now_us()) for at in (before - DAY_US, before + 1)
    )
    answer = await commit.submit([old, new])
    assert (answer.accepted, answer.duplicates) == (1, 1)
    assert (await commit.submit([old])).duplicates == 1
    await dispatcher.drain()
    ids = [row["event_id"].bytes for row in await pool.fetch("SELECT event_id FROM event_ledger")]
    assert ids == [new.interaction.event_id]


async def test_what_nothing_depends_on_any_more_is_forgotten(pool: Pool, store: ErasureStore) -> None:
    await erase(store, "alice")
    (erasure_id,) = await store.under_way(timedelta(0), 10)
    await store.finish(erasure_id)
    weeks = timedelta(weeks=25)
    await pool.execute(
        "INSERT INTO popularity_erased VALUES ('2020-01-01', 'cup', 'view', 1), (now(), 'cup', 'view', 1)"
    )
    await pool.execute(
        "INSERT INTO discarded_event VALUES ('persist', $1, 'erased', now() - interval '22 days')", new_id()
    )
    await pool.execute(
        "INSERT INTO discarded_event VALUES ('persist', $1, 'a test', now() - interval '22 days')", new_id()
    )
    for aged, keys in ((0, 1), (26, 0)):
        await pool.execute("UPDATE erasure SET erased_before = erased_before - $1::bigint", aged * 7 * DAY_US)
        await store.forget((await pool.fetchval("SELECT now()")).date() - weeks, weeks, timedelta(days=21))
        assert await pool.fetchval("SELECT count(*) FROM erasure WHERE account_key IS NOT NULL") == keys
    assert await pool.fetchval("SELECT count(*) FROM erasure") == 1
    assert await pool.fetchval("SELECT count(*) FROM popularity_erased") == 1
    assert [row["reason"] for row in await pool.fetch("SELECT reason FROM discarded_event")] == ["a test"]
