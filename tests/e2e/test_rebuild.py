"""`footfall rebuild` and `footfall verify` with real processes: beside load, and of what was broken by hand."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.event_types import load_event_weights
from domain.rebuild import WORKFLOW_ID
from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.factories import body
from tests.faults.check import drained
from tests.stack import Stack, footfall

pytestmark = pytest.mark.timeout(300)

TYPES = ["view", "purchase", "add_to_cart", "rating_low", "not_interested", "unheard_of"]


@pytest.fixture(scope="module")
async def own_stack(postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path) -> AsyncIterator[Stack]:
    """A Footfall of its own, since everything in it is verified."""
    logs = servers_dir / "logs-rebuild"
    logs.mkdir()
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        namespace = {"TEMPORAL_NAMESPACE": await new_namespace(temporal.address)}
        quick = {"FOOTFALL_SWEEP_AFTER_S": "2", "FOOTFALL_SWEEP_INTERVAL_S": "0.5"}
        running = Stack(url, temporal.address, logs, {**namespace, **quick})
        running.start()
        yield running
        running.stop()


class Load:
    """Posts made-up interactions until it is told to stop."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._random = random.Random(seed)
        self.sent: list[dict[str, Any]] = []
        self.is_over = False

    async def run(self, *, events: int | None = None) -> None:
        async with httpx.AsyncClient(base_url=self._stack.url, timeout=30) as http:
            while not self.is_over and (events is None or len(self.sent) < events):
                some = [self._one() for _ in range(self._random.randrange(1, 60))]
                answer = await http.post("/interaction", json={"interactions": some})
                assert answer.status_code == 202, answer.text
                self.sent += some

    def _one(self) -> dict[str, Any]:
        ago = timedelta(seconds=self._random.uniform(0, self._random.choice([60, 86_400, 20 * 7 * 86_400])))
        return body(
            event_id=str(UUID(bytes=self._random.randbytes(16), version=4)),
            account_id=f"account {self._random.randrange(300)}",
            event_type=self._random.choice(TYPES),
            ref_type=self._random.choice(["Product", "Product", "Category"]),
            ref_id=f"p{self._random.randrange(80)}",
            occurred_at=(datetime.now(UTC) - ago).isoformat(),
        )


async def counted(
    stack: Stack,
) -> tuple[dict[str, tuple[int, int, int]], dict[tuple[str, str], tuple[int, int, int]]]:
    """Totals and days: score, views, purchases."""
    connection = await asyncpg.connect(stack.database_url)
    columns = "score, view_count, purchase_count"
    totals = await connection.fetch(f"SELECT product_id, {columns} FROM product_popularity")
    days = await connection.fetch(f"SELECT product_id, day::text, {columns} FROM product_popularity_daily")
    await connection.close()
    return {row[0]: tuple(row)[1:] for row in totals}, {(row[0], row[1]): tuple(row)[2:] for row in days}


def plainly_counted(
    sent: list[dict[str, Any]],
) -> tuple[dict[str, tuple[int, int, int]], dict[tuple[str, str], tuple[int, int, int]]]:
    weights = load_event_weights()
    totals: dict[str, tuple[int, int, int]] = {}
    days: dict[tuple[str, str], tuple[int, int, int]] = {}
    for one in sent:
        weight = weights.get(one["event_type"])
        if weight is None or one["ref_type"] != "Product":
            continue
        adds = weight.score_delta, weight.counter == "view", weight.counter == "purchase"
        product, day = one["ref_id"], one["occurred_at"][:10]
        totals[product] = _sum(totals.get(product, (0, 0, 0)), adds)
        days[product, day] = _sum(days.get((product, day), (0, 0, 0)), adds)
    return totals, days


def _sum(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


async def test_beside_load_nothing_is_lost_or_doubled_and_what_was_broken_is_mended(own_stack: Stack) -> None:
    """Rebuilds and verifications one after the other while interactions come in all the time."""
    before = Load(own_stack, 1)
    await before.run(events=8_000)
    connection = await asyncpg.connect(own_stack.database_url)
    await drained(own_stack.database_url)
    await connection.execute("DELETE FROM product_popularity WHERE product_id < 'p3'")
    await connection.execute("UPDATE product_popularity_daily SET score = score + 1 WHERE product_id > 'p5'")
    beside = [Load(own_stack, seed) for seed in (2, 3)]
    running = [asyncio.create_task(load.run()) for load in beside]
    try:
        told = await footfall(own_stack, "rebuild", "popularity")
        assert told.code == 0, told.err
        assert "mended" in told.out
        for _ in range(2):
            verified = await footfall(own_stack, "verify", "--json")
            assert verified.code == 0, verified.out + verified.err
            assert verified.json["differences"] == verified.json["ledger"] == []
        assert all(not one.done() for one in running)
    finally:
        for load in beside:
            load.is_over = True
        await asyncio.gather(*running)
    await drained(own_stack.database_url)
    await connection.close()
    sent = [one for load in (before, *beside) for one in load.sent]
    assert len(sent) > 10_000
    assert await counted(own_stack) == plainly_counted(sent)
    verified = await footfall(own_stack, "verify", "--json")
    assert (verified.code, verified.json["interactions"]) == (0, len(sent))


async def test_each_thing_that_was_broken_is_named_and_mended(own_stack: Stack) -> None:
    await Load(own_stack, 4).run(events=2_000)
    await drained(own_stack.database_url)
    assert (await footfall(own_stack, "verify")).code == 0
    right = await counted(own_stack)
    connection = await asyncpg.connect(own_stack.database_url)
    forgotten = await connection.fetchval(
        "DELETE FROM event_ledger WHERE event_id = (SELECT event_id FROM event_ledger WHERE day > now() - '1d'"
        "::interval LIMIT 1) RETURNING event_id"
    )
    # Accepted an hour ago, and never written to a block.
    lost, before = uuid4(), UUID(int=int((datetime.now(UTC).timestamp() - 3600) * 1000) << 80 | 7 << 76 | 2 << 62)
    await connection.execute(
        "INSERT INTO event_ledger (day, event_id, intake_id) VALUES ((now() AT TIME ZONE 'UTC')::date, $1, $2)",
        lost, before,
    )  # fmt: skip
    product = "p7"
    await connection.execute("DELETE FROM product_popularity WHERE product_id = $1", product)
    day = await connection.fetchval(
        "UPDATE product_popularity_daily SET view_count = view_count + 5 WHERE product_id = 'p8' AND day = "
        "(SELECT max(day) FROM product_popularity_daily WHERE product_id = 'p8') RETURNING day::text"
    )
    try:
        told = await footfall(own_stack, "verify", "--json")
        assert told.code == 1, told.out + told.err
        named = {(one["product_id"], one["day"]) for one in told.json["differences"]}
        assert named == {("p7", None), ("p8", day)}
        (differing,) = [one for one in told.json["differences"] if one["product_id"] == "p8"]
        assert differing["live"]["views"] == differing["recount"]["views"] + 5
        assert {one["event_id"]: one["fault"] for one in told.json["ledger"]} == {
            str(lost): "in no block",
            str(forgotten): "unknown to the ledger",
        }
        in_words = await footfall(own_stack, "verify")
        assert in_words.code == 1
        for words in (
            "total of 'p7': score 0.000000",
            f"{day} of 'p8': views",
            f"{lost} of ",
            "accepted, but in no block",
            f"{forgotten} of ",
            "unknown to the ledger",
        ):
            assert words in in_words.out
        repaired = await footfall(own_stack, "verify", "--repair")
        assert repaired.code == 0, repaired.out + repaired.err
        assert "can be sent again" in repaired.out
        assert (await footfall(own_stack, "verify")).code == 0
        assert await counted(own_stack) == right
        assert await connection.fetchval("SELECT count(*) FROM event_ledger WHERE event_id = $1", forgotten) == 1
        assert await connection.fetchval("SELECT count(*) FROM event_ledger WHERE event_id = $1", lost) == 0
    finally:
        await connection.close()


async def test_changed_weights_are_compared_first(own_stack: Stack, tmp_path: Path) -> None:
    await Load(own_stack, 5).run(events=500)
    await drained(own_stack.database_url)
    right = await counted(own_stack)
    table = tmp_path / "types.toml"
    table.write_text('view = { weight = 1.0, counter = "view" }\n')
    refused = await footfall(own_stack, "rebuild", "popularity", "--weights", str(table))
    assert refused.code == 2
    assert "FOOTFALL_EVENT_TYPES_FILE" in refused.err
    told = await footfall(own_stack, "rebuild", "popularity", "--compare", "--weights", str(table), "--json")
    assert told.code == 0, told.err
    assert told.json["products_differ"] > 50
    assert len(told.json["differences"]) == 50
    for one in told.json["differences"]:
        if one["day"] is None:
            assert one["recount"]["score"] == one["recount"]["views"]
    assert await counted(own_stack) == right


async def test_days_that_are_not_kept_are_refused(own_stack: Stack) -> None:
    for arguments in (["--from", "2001-01-01"], ["--from", "no day"], ["--to", "2001-01-01"]):
        refused = await footfall(own_stack, "verify", *arguments)
        assert refused.code == 2
        assert "from" in refused.err


async def test_one_at_a_time_and_stopped(own_stack: Stack, temporal: Temporal) -> None:
    own_stack.kill("worker")  # so that it does not end by itself
    client = await Client.connect(temporal.address, namespace=own_stack.settings["TEMPORAL_NAMESPACE"])
    first = asyncio.create_task(footfall(own_stack, "rebuild", "popularity"))
    await eventually(lambda: _running(client))
    second = await footfall(own_stack, "verify")
    assert second.code == 2
    assert "rebuild-popularity" in second.err
    stopping = asyncio.create_task(footfall(own_stack, "rebuild", "stop"))
    own_stack.start("worker")
    stopped = await stopping
    assert stopped.code == 0, stopped.err
    cancelled = await first
    assert cancelled.code == 2
    assert "was cancelled" in cancelled.err
    assert "no rebuild is on" in (await footfall(own_stack, "rebuild", "stop")).out
    assert (await footfall(own_stack, "verify")).code == 0


async def test_what_a_terminated_rebuild_left_is_cleared(own_stack: Stack, temporal: Temporal) -> None:
    """Nobody else would: workers would note ids for ever, and no other rebuild could begin."""
    connection = await asyncpg.connect(own_stack.database_url)
    try:
        await connection.execute("UPDATE popularity_state SET rebuild_id = gen_random_uuid(), noting = true")
        await Load(own_stack, 6).run(events=100)
        await drained(own_stack.database_url)
        assert await connection.fetchval("SELECT count(*) FROM rebuild_seen") >= 100
        refused = await footfall(own_stack, "verify")
        assert refused.code == 2
        assert "footfall rebuild stop" in refused.err
        assert "cleared" in (await footfall(own_stack, "rebuild", "stop")).out
        assert await connection.fetchval("SELECT count(*) FROM rebuild_seen") == 0
    finally:
        await connection.close()
    assert (await footfall(own_stack, "verify")).code == 0


async def _running(client: Client) -> None:
    try:
        described = await client.get_workflow_handle(WORKFLOW_ID).describe()
    except RPCError as error:
        raise AssertionError from error
    assert described.status == WorkflowExecutionStatus.RUNNING
