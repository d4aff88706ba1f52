"""The fan-out into recommendations: what becomes a signal, each action once in either store, whatever is cut off."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from subprocess import PIPE
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.batches import BatchReader
from activities.fan_out import Resources, fan_out_activity
from activities.feed_recommendations import Recommendations
from domain.actions import Action, Hidden
from domain.batch import FanOutInput, FanOutResult
from domain.errors import TransientError
from domain.event_types import load_event_weights
from domain.ids import new_id
from domain.interaction import CATEGORY
from intake.ledger import LedgerDays
from intake.log import IntakeLog, NewInteraction
from store.blocks.postgres import PostgresBlockStore
from store.postgres import Connection, Pool
from store.signals import SignalStore
from store.signals_postgres import PostgresSignalStore
from store.signals_redis import RedisSignalStore
from tests.conftest import eventually
from tests.factories import interaction, new_interaction, now_us

_DAY_US = 86_400_000_000


@pytest.fixture(params=["postgres", "redis"])
def signals(request: pytest.FixtureRequest, pool: Pool) -> SignalStore:
    if request.param == "postgres":
        return PostgresSignalStore(pool)
    return RedisSignalStore(request.getfixturevalue("redis_client"))


@pytest.fixture
def resources(pool: Pool, signals: SignalStore) -> Resources:
    return Resources(pool, IntakeLog(pool), PostgresBlockStore(pool), signals, load_event_weights())


@pytest.fixture
def account() -> str:
    """An account that no other test has."""
    return str(uuid4())


async def _batch(log: IntakeLog, *rows: Sequence[NewInteraction]) -> UUID:
    batch = new_id()
    for events in rows:
        await log.append(batch, events)
    return batch


async def _run(resources: Resources, batch: UUID) -> FanOutResult:
    run = fan_out_activity(Recommendations(resources), BatchReader(resources.log), resources.log)
    result = await ActivityEnvironment().run(run, FanOutInput(batch))
    assert isinstance(result, FanOutResult)
    return result


def _items(actions: Sequence[Action]) -> list[str]:
    return [one.item_id for one in actions]


def _views(account: str, count: int) -> list[NewInteraction]:
    """Of items 0, 1, …; the last is the oldest."""
    newest = now_us()
    return [
        new_interaction(account_id=account, ref_id=str(number), occurred_at=newest - number * 1_000_000)
        for number in range(count)
    ]


async def test_what_is_done_with_products_becomes_a_signal(resources: Resources, account: str) -> None:
    fields = {"account_id": account, "session_id": "s1", "metadata": '{"recommendation_id":"r1","position":3}'}
    view = new_interaction(**fields)
    others = [
        new_interaction(account_id=account, ref_type=CATEGORY),
        new_interaction(account_id=account, event_type="product_impression"),
        new_interaction(account_id=account, event_type="unheard_of"),
        LedgerDays(7).file(interaction(account_id=account, occurred_at=now_us() - 29 * _DAY_US), now_us()),
    ]
    batch = await _batch(resources.log, [view, *others])
    result = await _run(resources, batch)
    assert (result.events, result.applied_rows, result.quarantined) == (5, 1, 0)
    one = view.interaction
    expected = Action(account, "cup", "view", one.occurred_at, one.event_id, "s1", "r1", 3)
    assert await resources.signals.recent(account) == [expected]


async def test_opinions_hide_though_they_are_not_scored(resources: Resources, account: str) -> None:
    own_types = replace(resources, weights={"view": resources.weights["view"]})
    types = ["hide_item", "dislike", "not_interested", "purchase", "add_to_cart"]
    batch = await _batch(
        resources.log, [new_interaction(account_id=account, event_type=one, ref_id=one) for one in types]
    )
    await _run(own_types, batch)
    assert await resources.signals.hidden(account) == Hidden(*(frozenset({one}) for one in types[:4]))
    assert "add_to_cart" not in _items(await resources.signals.recent(account))


async def test_once_whatever_is_run_again(resources: Resources, account: str) -> None:
    views = _views(account, 30)
    batch = await _batch(resources.log, views[:10], views[5:20], views[20:])
    assert (await _run(resources, batch)).applied_rows == 3
    assert (await _run(resources, batch)).applied_rows == 0
    assert _items(await resources.signals.recent(account)) == [str(number) for number in range(30)]


async def test_once_by_many_at_once(resources: Resources, account: str) -> None:
    views = _views(account, 30)
    batch = await _batch(resources.log, views[:10], views[10:])
    results = await asyncio.gather(*(_run(resources, batch) for _ in range(5)))
    assert sum(one.applied_rows for one in results) == 2
    assert len(await resources.signals.recent(account)) == 30


async def test_rows_that_come_in_another_batch_are_applied_once(
    resources: Resources, pool: Pool, account: str
) -> None:
    """As the sweeper carries them, when the first batch died between two rows' marks."""
    views = _views(account, 20)
    batch = await _batch(resources.log, views[:10], views[10:])
    rows = await resources.log.read(batch)
    await ActivityEnvironment().run(Recommendations(resources).apply, rows[:1])
    await resources.log.move([batch], other := new_id())
    assert (await _run(resources, other)).applied_rows == 1
    assert len(await resources.signals.recent(account)) == 20


async def test_a_lost_commit_doubles_nothing(
    resources: Resources, pool: Pool, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await _batch(resources.log, _views(account, 30))
    add = type(resources.signals).add

    async def add_and_fail(store: SignalStore, connection: Connection, actions: Sequence[Action]) -> None:
        await add(store, connection, actions)
        raise TransientError("lost after the write, before the commit")

    with monkeypatch.context() as patch, pytest.raises(ApplicationError, match="before the commit"):
        patch.setattr(type(resources.signals), "add", add_and_fail)
        await _run(resources, batch)
    assert await pool.fetchval("SELECT count(*) FROM applied") == 0
    assert (await _run(resources, batch)).applied_rows == 1
    assert _items(await resources.signals.recent(account)) == [str(number) for number in range(30)]


async def test_a_worker_killed_between_write_and_mark_doubles_nothing(
    resources: Resources, pool: Pool, database_url: str, account: str, request: pytest.FixtureRequest
) -> None:
    views = _views(account, 30)
    batch = await _batch(resources.log, views[:10], views[10:])
    in_redis = isinstance(resources.signals, RedisSignalStore)
    redis_url = request.getfixturevalue("redis_url") if in_redis else "-"
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.activities.dies_before_commit", database_url, redis_url, str(batch)],
        stdout=PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"written\n"
    process.kill()
    await process.wait()
    assert len(await resources.signals.recent(account)) == (30 if in_redis else 0)

    async def nobody_holds_the_rows() -> None:
        assert not await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dying'")

    await eventually(nobody_holds_the_rows)
    assert await pool.fetchval("SELECT count(*) FROM applied") == 0
    assert (await _run(resources, batch)).applied_rows == 2
    assert _items(await resources.signals.recent(account)) == [str(number) for number in range(30)]


async def test_metadata_that_can_not_be_read_is_a_signal_all_the_same(resources: Resources, account: str) -> None:
    """The front door lets none in now; it did once, and a file that is written past it might."""
    views = [
        *_views(account, 3),
        new_interaction(account_id=account, ref_id="odd", metadata='{"position":"first"}'),
    ]
    result = await _run(resources, await _batch(resources.log, views))
    assert (result.applied_rows, result.quarantined) == (1, 0)
    assert sorted(_items(await resources.signals.recent(account))) == ["0", "1", "2", "odd"]
