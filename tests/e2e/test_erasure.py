"""An account is erased and exported with real processes, as a shop would have it done."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from migrations.cql_runner import migrate_cql
from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from store.cql import CqlCluster
from store.redis import open_redis
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.cql import in_keyspace, scylla_settings
from tests.factories import body
from tests.faults.check import drained
from tests.stack import Stack, footfall, footfall_says

pytestmark = pytest.mark.timeout(300)


@dataclass
class Shop:
    stack: Stack
    http: httpx.AsyncClient
    database: "asyncpg.Connection[asyncpg.Record]"

    async def record(self, *events: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post("/interaction", json={"interactions": list(events)})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def erase(self, account_id: str, **query: str) -> dict[str, Any]:
        answer = await self.http.delete(f"/interactions/{account_id}", params=query)
        assert answer.status_code == 202, answer.text
        asked: dict[str, Any] = answer.json()
        assert answer.headers["location"] == f"/erasures/{asked['erasure_id']}"
        return asked

    async def until(self, asked: dict[str, Any], *states: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            found = (await self.http.get(f"/erasures/{asked['erasure_id']}")).json()
            assert found["state"] in states, found
            return dict(found)

        return await eventually(reached, within_s=60)

    async def history(self, account_id: str) -> list[dict[str, Any]]:
        answer = await self.http.get(f"/interactions/{account_id}", params={"limit": 2_000})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def export(self, account_id: str) -> list[dict[str, Any]]:
        answer = await self.http.get(f"/interactions/{account_id}/export")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert lines[-1] == {"kind": "end", "lines": len(lines), "complete": True}
        return lines

    async def views(self, product: str) -> int:
        answer = await self.http.get(f"/popularity/{product}")
        return int(answer.json()["view_count"]) if answer.status_code == 200 else 0

    async def verify(self) -> None:
        await drained(self.stack.database_url)
        verified = await footfall(self.stack, "verify", "--json")
        assert verified.code == 0, verified.out + verified.err

    async def holds(self, text: str) -> list[str]:
        """The tables that have a row with this text in it."""
        tables = await self.database.fetch(
            "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind = 'r' AND n.nspname = 'public'"
        )
        found = []
        for table in tables:
            rows = await self.database.fetch(f"SELECT t::text AS row FROM {table['name']} AS t")
            wanted = text, text.encode().hex()
            if any(one in row["row"] for row in rows for one in wanted):
                found.append(str(table["name"]))
        return found


@asynccontextmanager
async def running(
    postgres_server: EmbeddedPostgres, temporal: Temporal, logs: Any, **settings: str
) -> AsyncIterator[Shop]:
    logs.mkdir(exist_ok=True)
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        stack = Stack(
            url,
            temporal.address,
            logs,
            {
                "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
                "FOOTFALL_SWEEP_AFTER_S": "2",
                "FOOTFALL_SWEEP_INTERVAL_S": "0.5",
                "FOOTFALL_ERASURE_SETTLE_S": "2",
                **settings,
            },
        )
        stack.start()
        database = await asyncpg.connect(url)
        try:
            async with httpx.AsyncClient(base_url=stack.url, timeout=30) as http:
                yield Shop(stack, http, database)
        finally:
            await database.close()
            stack.stop()


@pytest.fixture(scope="module")
async def shop(postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Any) -> AsyncIterator[Shop]:
    async with running(postgres_server, temporal, servers_dir / "logs-erasure") as made:
        yield made


def views(account: str, product: str, count: int, **fields: Any) -> list[dict[str, Any]]:
    return [body(account_id=account, ref_id=product, event_id=str(uuid4()), **fields) for _ in range(count)]


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


@pytest.mark.parametrize("subtract", [False, True])
async def test_an_account_is_erased_and_its_counts_stay_or_go(shop: Shop, subtract: bool) -> None:
    me, other, product = f"me-{uuid4()}", f"other-{uuid4()}", f"p-{uuid4()}"
    old = [*views(me, product, 7), *views(me, product, 3, occurred_at=ago(weeks=5))]
    await shop.record(*old, *views(other, product, 4))
    assert (await shop.http.put("/users", json={"account_id": me, "preferred_categories": ["cups"]})).is_success
    await drained(shop.stack.database_url)
    assert len(await shop.history(me)) == 10
    assert await shop.views(product) == 14
    assert set(await shop.holds(me)) > {"account_profile"}

    asked = await shop.erase(me, subtract=str(subtract).lower())
    gone = await shop.until(asked, "settling", "done")
    assert (gone["counts"]["interactions"], gone["counts"]["profiles"]) == (10, 1)
    assert await shop.history(me) == []
    assert (await shop.http.get(f"/users/{me}")).status_code == 404
    assert len(await shop.history(other)) == 4
    assert await shop.views(product) == (4 if subtract else 14)
    await shop.verify()

    again = await shop.record(*old, *views(me, product, 2, occurred_at=ago(hours=1)))
    assert (again["accepted"], again["duplicates"]) == (0, 12)  # sent again, and an offline app's queue
    done = await shop.until(asked, "done")
    assert await shop.holds(me) == []
    assert {**done, "done_at": None, "state": "", "counts": {}} == {
        **gone,
        "done_at": None,
        "state": "",
        "counts": {},
    }
    await shop.record(*views(me, product, 1))
    await shop.verify()
    assert len(await shop.history(me)) == 1
    assert await shop.views(product) == (5 if subtract else 15)


async def test_with_blocks_in_cassandra_and_signals_in_redis(
    postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Any, cql: CqlCluster, redis_url: str
) -> None:
    cluster = in_keyspace(cql, f"e2e{uuid4().hex}")
    await migrate_cql(cluster, postgres_server.url)
    settings = {**scylla_settings(cluster), "FOOTFALL_REDIS_URL": redis_url}
    me, other, product = f"me-{uuid4()}", f"other-{uuid4()}", f"p-{uuid4()}"
    async with running(postgres_server, temporal, servers_dir / "logs-erasure-cql", **settings) as shop:
        async with open_redis(redis_url, name="test", timeout_s=10) as redis:
            events = [*views(me, product, 5), *views(me, product, 2, event_type="purchase", occurred_at=ago(weeks=3))]
            await shop.record(*events, *views(other, product, 4))
            await drained(shop.stack.database_url)
            kinds = Counter(one["kind"] for one in await shop.export(me))
            assert kinds == {"export": 1, "interaction": 7, "signal": 7, "opinions": 1, "end": 1}
            assert len(await redis.keys(f"*{me}*")) == 2
            asked = await shop.erase(me, subtract="true")
            await shop.until(asked, "done")
            assert await redis.keys(f"*{me}*") == []
            assert len(await redis.keys(f"*{other}*")) == 1
        assert [one["kind"] for one in await shop.export(me)] == ["export", "end"]
        assert await shop.holds(me) == []
        assert await shop.views(product) == 4
        await shop.verify()


async def test_asked_twice_before_it_begins_it_is_one_erasure(shop: Shop) -> None:
    me = f"me-{uuid4()}"
    shop.stack.kill("worker")
    first = await shop.erase(me)
    assert first["state"] == "waiting"
    assert await shop.erase(me) == first
    otherwise = await shop.http.delete(f"/interactions/{me}", params={"subtract": "true"})
    assert (otherwise.status_code, otherwise.headers["content-type"]) == (409, "application/problem+json")
    shop.stack.start("worker")
    await shop.until(first, "done")
    assert (await shop.http.get(f"/erasures/{uuid4()}")).status_code == 404
    assert (await shop.http.delete("/interactions/a%00b")).status_code == 422


async def test_a_worker_that_is_killed_in_the_middle_is_followed_by_another(shop: Shop) -> None:
    me, product = f"me-{uuid4()}", f"p-{uuid4()}"
    for _ in range(5):
        await shop.record(*views(me, product, 200), *views("somebody", product, 10))
    await drained(shop.stack.database_url)
    lock = shop.database.transaction()
    await lock.start()  # the erasure comes to a stop where it would take the account's share
    await shop.database.execute("LOCK TABLE erasure_event IN ACCESS EXCLUSIVE MODE")
    asked = await shop.erase(me, subtract="true")
    await shop.until(asked, "erasing")
    watcher = await asyncpg.connect(shop.stack.database_url)

    async def waits() -> None:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'erasure_event'::regclass"
        assert await watcher.fetchval(query) == 1

    await eventually(waits)
    await watcher.close()
    shop.stack.kill("worker")
    await lock.rollback()
    shop.stack.start("worker")
    await shop.until(asked, "settling", "done")
    assert await shop.history(me) == []
    assert await shop.views(product) == 50
    await shop.verify()


async def test_beside_its_own_load_nothing_is_left_that_was_before(shop: Shop) -> None:
    """The account goes on while it is erased, twice: what is left is exactly what came after, in all read models."""
    me, product = f"me-{uuid4()}", f"p-{uuid4()}"
    sent: dict[str, datetime] = {}
    over = asyncio.Event()

    async def load() -> None:
        while not over.is_set():
            some = [*views(me, product, 5), *views(f"other-{uuid4()}", product, 5)]
            for one in some:
                one["occurred_at"] = datetime.now(UTC).isoformat()
            answer = await shop.record(*some)
            assert answer["accepted"] + answer["duplicates"] == 10
            sent.update((one["event_id"], datetime.fromisoformat(one["occurred_at"])) for one in some[:5])

    running_loads = [asyncio.create_task(load()) for _ in range(3)]
    for _ in range(2):
        asked = await shop.erase(me, subtract="true")
        erased = await shop.until(asked, "settling", "done")
    over.set()
    await asyncio.gather(*running_loads)
    await drained(shop.stack.database_url)
    await shop.until(asked, "done")
    before = datetime.fromisoformat(erased["erased_before"])
    left = {event_id for event_id, occurred_at in sent.items() if occurred_at >= before}
    found = {one["event_id"] for one in await shop.export(me) if one["kind"] == "interaction"}
    assert found == left
    assert 0 < len(left) < len(sent)
    others = await shop.database.fetchval(
        "SELECT count(*) FROM event_ledger l WHERE NOT EXISTS (SELECT FROM discarded_event d "
        "WHERE d.event_id = l.event_id)"
    )
    assert others >= len(left)
    assert await shop.views(product) == len(sent) + len(left)  # as many of the others as of mine were sent
    await shop.verify()


async def test_what_lies_parked_is_erased_and_the_others_of_its_batch_are_not(shop: Shop) -> None:
    me, product = f"me-{uuid4()}", f"p-{uuid4()}"
    await shop.database.execute("ALTER TABLE product_popularity RENAME TO hidden")
    try:
        await shop.record(*views(me, product, 3), *views(f"other-{uuid4()}", product, 2))

        async def parked() -> None:
            assert await shop.database.fetchval("SELECT count(*) FROM parked") == 1

        await eventually(parked)
        asked = await shop.erase(me)
        await shop.until(asked, "settling", "done")
        assert [one["kind"] for one in await shop.export(me)] == ["export", "end"]
    finally:
        await shop.database.execute("ALTER TABLE hidden RENAME TO product_popularity")
    await footfall_says(shop.stack, "fan-outs", "replay", "--all")
    await drained(shop.stack.database_url)
    assert await shop.views(product) == 2
    await shop.verify()


async def test_an_export_has_everything(shop: Shop) -> None:
    me = f"me / {uuid4()}"
    path = me.replace("/", "%2F")
    events = [
        *views(me, "cup", 3, metadata={"price": "12.50"}),
        body(account_id=me, event_type="hide_item", ref_id="saucer", event_id=str(uuid4())),
    ]
    await shop.record(*events)
    await shop.http.put("/users", json={"account_id": me, "preferred_categories": ["cups"], "language": "de"})
    early = await shop.export(path)  # what is on its way is in it too
    assert {one["event_id"] for one in early if one["kind"] == "interaction"} == {one["event_id"] for one in events}
    await drained(shop.stack.database_url)
    lines = await shop.export(path)
    assert [one["kind"] for one in lines] == [
        "export", "profile", *["interaction"] * 4, *["signal"] * 4, "opinions", "end"
    ]  # fmt: skip
    shown = await shop.history(path)
    assert [{k: v for k, v in one.items() if k != "kind"} for one in lines if one["kind"] == "interaction"] == shown
    assert lines[1]["preferred_categories"] == ["cups"]
    said = await footfall_says(shop.stack, "export", me)
    told = [json.loads(line) for line in said.splitlines()]
    assert [one["kind"] for one in told] == [one["kind"] for one in lines]


async def test_the_command_line_erases_and_waits(shop: Shop) -> None:
    me = f"me-{uuid4()}"
    await shop.record(*views(me, "cup", 3))
    said = await footfall_says(shop.stack, "erase", me)
    assert "3 interactions" in said
    assert await shop.history(me) == []
    again = await footfall(shop.stack, "erase", me, "--subtract", "--json")
    assert (again.code, again.json["subtract"]) == (0, True)
    assert again.json["counts"].get("interactions", 0) == 0
