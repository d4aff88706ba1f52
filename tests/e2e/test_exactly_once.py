"""The whole way with real processes: everything accepted is counted once, whatever dies on the way."""

import asyncio
import csv
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
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
from tests.conftest import eventually
from tests.factories import body
from tests.stack import Stack

Counts = dict[str, tuple[int, int, int, int]]
"""Product → score in millionths, views, purchases, carts."""

_COLUMNS = "score, view_count, purchase_count, cart_count"


async def _popularity(stack: Stack, prefix: str, table: str = "product_popularity") -> Counts:
    connection = await asyncpg.connect(stack.database_url)
    try:
        key = "product_id" if table == "product_popularity" else "day::text || ' ' || product_id"
        rows = await connection.fetch(
            f"SELECT {key} AS key, {_COLUMNS} FROM {table} WHERE starts_with(product_id, $1)", prefix
        )
    finally:
        await connection.close()
    return {row["key"]: (row["score"], row["view_count"], row["purchase_count"], row["cart_count"]) for row in rows}


def _recount(events: list[tuple[str, str]]) -> Counts:
    """What plain counting of (key, event type) gives."""
    weights = load_event_weights()
    by_key: dict[str, Counter[str]] = defaultdict(Counter)
    for key, event_type in events:
        by_key[key][event_type] += 1
    return {
        key: (
            sum(weights[event_type].score_delta * count for event_type, count in types.items()),
            types["view"],
            types["purchase"],
            types["add_to_cart"],
        )
        for key, types in by_key.items()
    }


def _retailrocket_file(file: Path, prefix: str, rows: int) -> list[tuple[int, str, str]]:
    """Writes a file with a header; its events as (milliseconds, product, our event type)."""
    picker = random.Random(7)
    types = {"view": "view", "addtocart": "add_to_cart", "transaction": "purchase"}
    start = datetime(2015, 5, 3, tzinfo=UTC).timestamp() * 1000
    events = []
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["timestamp", "visitorid", "event", "itemid", "transactionid"])
        for _ in range(rows):
            millis = int(start + picker.random() * 10 * 86_400_000)
            event = picker.choices(list(types), [90, 7, 3])[0]
            item = f"{prefix}{int(picker.paretovariate(1.1)) % 2_000}"
            account = f"{prefix}{picker.randrange(5_000)}"
            writer.writerow([millis, account, event, item, millis if event == "transaction" else ""])
            events.append((millis, item, types[event]))
    return events


async def _import(stack: Stack, file: Path, state: Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "runtime.cli", "import", str(file), "--url", stack.url, "--shift-to-now", "--json"],
        env={**stack.environment, "XDG_STATE_HOME": str(state)},
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    summary: dict[str, Any] = json.loads(out)
    return summary


@pytest.mark.timeout(300)
async def test_a_file_of_100_000_is_counted_as_a_plain_recount_counts_it(stack: Stack, tmp_path: Path) -> None:
    """With the worker killed and started again on the way, and the file imported twice."""
    prefix, rows = f"imp-{uuid4().hex[:8]}-", 100_000
    events = _retailrocket_file(tmp_path / "events.csv", prefix, rows)
    importing = asyncio.create_task(_import(stack, tmp_path / "events.csv", tmp_path))

    async def some_are_counted() -> None:
        assert sum(counts[1] for counts in (await _popularity(stack, prefix)).values()) > 5_000

    await eventually(some_are_counted, within_s=60)
    stack.kill("worker")
    assert not importing.done()
    summary = await importing
    assert (summary["accepted"], summary["duplicates"]) == (rows, 0)
    stack.start("worker")
    expected = _recount([(product, event_type) for _, product, event_type in events])

    async def all_are_counted() -> None:
        assert await _popularity(stack, prefix) == expected

    await eventually(all_are_counted, within_s=120)
    again = await _import(stack, tmp_path / "events.csv", tmp_path)
    assert (again["accepted"], again["duplicates"]) == (0, rows)
    await _nothing_is_under_way(stack)
    assert await _popularity(stack, prefix) == expected
    await _check_days(stack, prefix, events)
    await _check_blocks(stack, prefix, rows)


async def _check_days(stack: Stack, prefix: str, events: list[tuple[int, str, str]]) -> None:
    """Daily rows: the file's times shifted as a whole, found by its last day."""
    daily = await _popularity(stack, prefix, "product_popularity_daily")
    last_day = max(datetime.fromisoformat(key.split()[0]).replace(tzinfo=UTC) for key in daily)
    last_us = max(millis for millis, _, _ in events) * 1_000
    totals = Counter[str]()
    for key, counts in daily.items():
        totals[key.split()[1]] += counts[0]
    assert dict(totals) == {key: counts[0] for key, counts in (await _popularity(stack, prefix)).items()}
    days = (last_day - min(datetime.fromisoformat(key.split()[0]).replace(tzinfo=UTC) for key in daily)).days
    span = timedelta(microseconds=last_us - min(millis for millis, _, _ in events) * 1_000).days
    assert days in {span, span + 1}


async def _check_blocks(stack: Stack, prefix: str, rows: int) -> None:
    connection = await asyncpg.connect(stack.database_url)
    kept = await connection.fetchval(
        "SELECT sum(event_count) FROM interaction_block WHERE starts_with(account_id, $1)", prefix
    )
    await connection.close()
    assert kept == rows


async def _nothing_is_under_way(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.database_url)

    async def drained() -> None:
        assert await connection.fetchval("SELECT count(*) FROM intake_log") == 0
        assert await connection.fetchval("SELECT count(*) FROM applied") == 0

    await eventually(drained, within_s=120)
    await connection.close()


async def _views(http: httpx.AsyncClient, product: str) -> int:
    answer = await http.get(f"/popularity/{product}")
    return int(answer.json()["view_count"]) if answer.status_code == 200 else 0


async def test_clients_that_retry_at_once_count_once(stack: Stack, http: httpx.AsyncClient) -> None:
    product = str(uuid4())
    events = [body(ref_id=product, event_id=str(uuid4()), account_id=f"{product}-{n % 7}") for n in range(300)]

    async def send() -> None:
        for _ in range(20):
            chosen = random.sample(events, 30)
            await http.post("/interaction", json={"interactions": chosen})

    await asyncio.gather(*(send() for _ in range(8)))
    assert (await http.post("/interaction", json={"interactions": events})).status_code == 202
    await _nothing_is_under_way(stack)
    assert await _views(http, product) == 300
    histories = [(await http.get(f"/interactions/{product}-{n}?limit=2000")).json()["items"] for n in range(7)]
    assert len({item["event_id"] for items in histories for item in items}) == sum(map(len, histories)) == 300


async def test_an_api_that_dies_under_load_loses_nothing_that_it_accepted(stack: Stack) -> None:
    """Batches that it had open are found by the sweeper; what was not answered is safe to send again."""
    product = str(uuid4())
    accepted: set[str] = set()
    unanswered: list[dict[str, Any]] = []

    async def send(client: httpx.AsyncClient) -> None:
        while True:
            event = body(ref_id=product, event_id=str(uuid4()))
            try:
                answer = await client.post("/interaction", json=event)
            except httpx.TransportError:
                unanswered.append(event)
                return
            assert answer.status_code == 202
            accepted.add(event["event_id"])

    async with httpx.AsyncClient(base_url=stack.url) as client:
        sending = asyncio.gather(*(send(client) for _ in range(16)))

        async def enough() -> None:
            assert len(accepted) > 200

        await eventually(enough)
        stack.kill("api")
        await sending
    stack.start("api")
    async with httpx.AsyncClient(base_url=stack.url) as client:
        for event in unanswered:
            assert (await client.post("/interaction", json=event)).status_code == 202
        await _nothing_is_under_way(stack)
        assert await _views(client, product) == len(accepted) + len(unanswered)


async def test_a_batch_whose_workflow_is_terminated_is_carried_by_another(
    stack: Stack, http: httpx.AsyncClient, temporal_client: Client
) -> None:
    product = str(uuid4())
    stack.kill("worker")
    accepted = (await http.post("/interaction", json=body(ref_id=product))).json()
    handle = temporal_client.get_workflow_handle(accepted["batch_id"])

    async def started() -> None:
        described = await _described(temporal_client, accepted["batch_id"])
        assert described == WorkflowExecutionStatus.RUNNING

    await eventually(started)
    await handle.terminate("an operator's mistake")
    stack.start("worker")
    receipt = (await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})).json()
    assert receipt["state"] == "done"
    assert receipt["carried_by"] != accepted["batch_id"]
    assert await _views(http, product) == 1


async def _described(client: Client, workflow_id: str) -> WorkflowExecutionStatus | None:
    try:
        return (await client.get_workflow_handle(workflow_id).describe()).status
    except RPCError:
        return None


async def test_the_batch_id_of_an_answer_is_the_workflow_in_the_temporal_ui(
    http: httpx.AsyncClient, temporal_client: Client
) -> None:
    accepted = (await http.post("/interaction", json=body())).json()
    await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})
    history = await temporal_client.get_workflow_handle(accepted["batch_id"]).fetch_history()
    assert history.events
    assert str(UUID(accepted["event_ids"][0])) not in history.to_json()
