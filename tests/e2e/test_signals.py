"""What is posted becomes a signal of its account, once, with signals in PostgreSQL and in Redis."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from domain.actions import Action, Hidden
from domain.batch import ReleaseResult
from domain.ids import new_id
from domain.week import from_us, to_us
from intake.carrier import Carrier
from intake.log import IntakeLog
from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from store.postgres import Pool, create_pool
from store.signals import SignalStore
from store.signals_postgres import PostgresSignalStore
from store.signals_redis import RedisSignalStore
from tests.conftest import Temporal, new_database, new_namespace
from tests.factories import body, new_interaction
from tests.stack import Stack


@pytest.fixture
async def stack_pool(stack: Stack) -> AsyncIterator[Pool]:
    async with create_pool(stack.database_url, name="test", size=2, timeout_s=30) as pool:
        yield pool


@pytest.fixture(scope="module")
async def on_redis(
    postgres_server: EmbeddedPostgres, temporal: Temporal, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """A Footfall whose signals are in Redis, with its own database and Temporal namespace."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        settings = {"TEMPORAL_NAMESPACE": await new_namespace(temporal.address), "FOOTFALL_REDIS_URL": redis_url}
        running = Stack(url, temporal.address, tmp_path_factory.mktemp("logs"), settings)
        running.start()
        yield running
        running.stop()


async def _send(stack: Stack, *bodies: dict[str, Any]) -> dict[str, Any]:
    """Returns when they are in every read model."""
    async with httpx.AsyncClient(base_url=stack.url, timeout=40) as http:
        answer = await http.post("/interaction", json={"interactions": bodies})
        assert answer.status_code == 202
        accepted: dict[str, Any] = answer.json()
        if accepted["batch_id"] is not None:
            receipt = (await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})).json()
            assert receipt["fan_outs"]["recommendations"] == {"state": "done"}
    return accepted


async def _check(stack: Stack, signals: SignalStore) -> None:
    """Two views and a purchase, sent twice, the purchase also between them."""
    account, now = str(uuid4()), datetime.now(UTC)
    fields = {"account_id": account, "session_id": "s1", "event_id": str(uuid4())}
    view = body(**fields, metadata={"recommendation_id": "r1", "position": 2}, occurred_at=now.isoformat())
    earlier = from_us(to_us(now) - 60_000_000).isoformat()
    purchase = body(account_id=account, event_id=str(uuid4()), event_type="purchase", occurred_at=earlier)
    await _send(stack, view)
    await _send(stack, purchase)
    assert (await _send(stack, view, purchase))["duplicates"] == 2
    first, second = await signals.recent(account)
    event_id = UUID(view["event_id"]).bytes
    assert first == Action(account, "cup", "view", to_us(now), event_id, "s1", "r1", 2)
    assert (second.event_type, second.event_id) == ("purchase", UUID(purchase["event_id"]).bytes)
    assert await signals.hidden(account) == Hidden(bought=frozenset({"cup"}))


async def test_a_view_is_a_signal_of_its_account_once(stack: Stack, stack_pool: Pool) -> None:
    await _check(stack, PostgresSignalStore(stack_pool))


async def test_a_view_is_a_signal_in_redis_once(on_redis: Stack, redis_client: Redis) -> None:
    await _check(on_redis, RedisSignalStore(redis_client))
    async with create_pool(on_redis.database_url, name="test", size=1, timeout_s=30) as pool:
        assert await pool.fetchval("SELECT count(*) FROM recent_signal") == 0


async def test_a_batch_of_before_there_were_recommendations_is_released_as_before(
    stack: Stack, stack_pool: Pool, temporal_client: Client
) -> None:
    """Of an API that is not updated yet: its batches name the fan-outs that it knows."""
    account, batch = str(uuid4()), new_id()
    await IntakeLog(stack_pool).append(batch, [new_interaction(account_id=account)])
    await Carrier(temporal_client, ["persist", "popularity"]).start(batch, 1)
    handle = temporal_client.get_workflow_handle(str(batch), result_type=ReleaseResult)
    assert await handle.result() == ReleaseResult(released_rows=1, remaining_rows=0)
    assert await PostgresSignalStore(stack_pool).recent(account) == []
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as http:
        assert len((await http.get(f"/interactions/{account}")).json()["items"]) == 1
