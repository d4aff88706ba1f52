"""Footfall on Cassandra beside Footfall on PostgreSQL: the same in, the same out; and the command line's `blocks`."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from migrations.cql_runner import migrate_cql
from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from store.cql import CqlCluster
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.cql import in_keyspace, scylla_settings
from tests.factories import body
from tests.stack import Stack, footfall_says

ACCOUNTS = [f"account {n}" for n in range(40)]


@pytest.fixture(scope="module")
async def on_cassandra(
    postgres_server: EmbeddedPostgres, temporal: Temporal, cql: CqlCluster, servers_dir: Path
) -> AsyncIterator[Stack]:
    """A Footfall whose blocks are in a keyspace of its own, with its own database and Temporal namespace."""
    cluster = in_keyspace(cql, f"e2e{uuid4().hex}")
    logs = servers_dir / "logs-cassandra"
    logs.mkdir()
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        await migrate_cql(cluster, postgres_server.url)
        namespace = {"TEMPORAL_NAMESPACE": await new_namespace(temporal.address)}
        running = Stack(url, temporal.address, logs, {**scylla_settings(cluster), **namespace})
        running.start()
        yield running
        running.stop()


def _file(path: Path, rows: int) -> Path:
    """Interactions of the last 23 weeks."""
    picker = random.Random(3)
    now = datetime.now(UTC)
    lines = [
        json.dumps(
            {
                "account_id": picker.choice(ACCOUNTS),
                "event_type": picker.choice(["view", "view", "purchase", "rating_high", "unheard_of"]),
                "ref_type": picker.choice(["Product", "Category"]),
                "ref_id": f"p{picker.randrange(50)}",
                "session_id": f"s{picker.randrange(300)}",
                "metadata": {"n": n},
                "occurred_at": (now - timedelta(seconds=picker.uniform(60, 23 * 7 * 86_400))).isoformat(),
            }
        )
        for n in range(rows)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


async def _histories(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    """Everything of every account, page by page."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as http:
        for account in ACCOUNTS:
            cursor: dict[str, str] = {}
            while True:
                answer = await http.get(f"/interactions/{account}", params={"limit": "70", **cursor})
                assert answer.status_code == 200
                found.setdefault(account, []).extend(answer.json()["items"])
                if answer.json()["next_cursor"] is None:
                    break
                cursor = {"cursor": answer.json()["next_cursor"]}
    return found


async def test_the_same_import_reads_back_equal(stack: Stack, on_cassandra: Stack, tmp_path: Path) -> None:
    file = _file(tmp_path / "events.jsonl", 3_000)
    for one in (stack, on_cassandra):
        await footfall_says(one, "import", str(file), "--url", one.url, "--strict")

    async def all_there() -> dict[str, list[dict[str, Any]]]:
        found = await _histories(on_cassandra)
        assert sum(map(len, found.values())) == 3_000
        assert found == await _histories(stack)
        return found

    before = await eventually(all_there, within_s=60)
    for one in (stack, on_cassandra):
        told = await footfall_says(one, "blocks", "compact")
        assert "interactions" in told
    assert await _histories(on_cassandra) == before
    assert await _histories(stack) == before
    told = await footfall_says(on_cassandra, "blocks", "inspect", ACCOUNTS[0])
    assert told.count("sealed") >= 20
    assert "as of their last compaction" in told
    assert f"{len(before[ACCOUNTS[0]])}" in told
    assert "no blocks of 'nobody'" in await footfall_says(on_cassandra, "blocks", "inspect", "nobody")


async def test_without_its_cluster_the_front_door_stays_open(
    postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path, on_cassandra: Stack
) -> None:
    """An API that starts while no node answers accepts, and says of its reads that they can't be had now."""
    settings = {**on_cassandra.settings, "SCYLLA_PORT": str(free_port("127.0.0.1", 0))}
    alone = Stack(on_cassandra.database_url, temporal.address, on_cassandra.logs, settings)
    alone.start_unready("api")
    try:
        async with httpx.AsyncClient(base_url=alone.url, timeout=30) as http:

            async def accepted() -> dict[str, Any]:
                try:
                    answer = await http.post("/interaction", json=body(account_id="patient"))
                except httpx.TransportError as error:
                    raise AssertionError from error
                assert answer.status_code == 202
                return dict(answer.json())

            await eventually(accepted)
            refused = await http.get("/interactions/patient")
            assert refused.status_code == 503
            ready = await http.get("/health/ready")
            assert ready.status_code == 503
            assert "block_store" in ready.text
            assert (await http.get("/popularity/top")).status_code == 200
    finally:
        alone.stop()

    async def carried() -> None:
        async with httpx.AsyncClient(base_url=on_cassandra.url, timeout=30) as http:
            assert (await http.get("/interactions/patient")).json()["items"]

    await eventually(carried, within_s=90)
