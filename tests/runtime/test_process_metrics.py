"""What processes tell of themselves, and what workers sample, on a real database."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from prometheus_client import REGISTRY

from intake.ledger import LedgerPartitions
from intake.log import IntakeLog
from runtime.process_metrics import keep_sampling
from runtime.watch import Watch
from store.models import ModelRegistry
from store.postgres import Pool, create_pool, waiting_for_connection
from tests.conftest import eventually
from tests.factories import new_interaction


def _value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_who_waits_for_a_connection_is_counted(database_url: str) -> None:
    async with create_pool(database_url, name="test", size=1, timeout_s=30) as pool:
        sampling = asyncio.create_task(keep_sampling({"small": pool}))
        async with pool.acquire():
            waiting = [asyncio.create_task(pool.fetchval("SELECT 1")) for _ in range(3)]
            await asyncio.sleep(0)
            assert waiting_for_connection(pool) == 3

            async def told() -> None:
                assert _value("footfall_postgres_waiting", pool="small") == 3
                assert _value("footfall_postgres_connections", pool="small", state="busy") == 1
                assert _value("footfall_postgres_connections_max", pool="small") == 1

            await eventually(told)
        assert await asyncio.gather(*waiting) == [1, 1, 1]
        assert waiting_for_connection(pool) == 0
        sampling.cancel()


async def test_a_loop_that_stands_still_is_told() -> None:
    before = _value("footfall_event_loop_lag_seconds_sum") or 0.0
    sampling = asyncio.create_task(keep_sampling({}))
    await asyncio.sleep(0.9)
    time.sleep(0.6)  # what must not be done

    async def told() -> None:
        assert (_value("footfall_event_loop_lag_seconds_sum") or 0.0) - before >= 0.4

    await eventually(told)
    sampling.cancel()


async def test_what_stands_in_the_database_is_sampled(pool: Pool) -> None:
    log, watch = IntakeLog(pool), Watch(pool, ["persist", "popularity"], 7)
    batch = uuid4()
    await log.append(batch, [new_interaction()])
    await log.park(batch, "popularity", "a test")
    await pool.execute(
        "INSERT INTO quarantine (fan_out, event_id, intake_id, batch_id, account_id, reason, interaction) "
        "VALUES ('persist', $1, $1, $1, 'alice', 'a test', '')",
        uuid4(),
    )
    await watch.take_sample()
    assert _value("footfall_parked_batches", fan_out="popularity") == 1
    assert _value("footfall_parked_batches", fan_out="persist") == 0
    assert _value("footfall_quarantined_interactions", fan_out="persist") == 1
    assert _value("footfall_model_trained_timestamp_seconds") == 0

    registry = ModelRegistry(pool)
    await registry.register("a", "file:///a", "f", {})
    await registry.activate("a")
    await log.unpark(batch, "popularity")
    await watch.take_sample()
    assert _value("footfall_parked_batches", fan_out="popularity") == 0
    made = _value("footfall_model_trained_timestamp_seconds")
    assert made is not None
    assert abs(made - time.time()) < 3600


async def test_the_ledger_ends_where_its_days_have_a_gap(pool: Pool) -> None:
    ledger, today = LedgerPartitions(pool, 7), datetime.now(UTC).date()
    assert await ledger.ends() == today + timedelta(days=4)
    name = f"event_ledger_{today + timedelta(days=2):%Y%m%d}"
    await pool.execute(f"DROP TABLE {name}")
    assert await ledger.ends() == today + timedelta(days=2)
    assert await ledger.ends(today + timedelta(days=100)) == today + timedelta(days=100)
