"""Bounds and outages at the front door, with real processes: 429, 503, and what is never touched by either."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from domain.batch import DiscardRequest
from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually
from tests.e2e.conftest import Broken
from tests.factories import body
from tests.stack import Stack
from workflows.record_interactions import PARKED, RecordInteractions


@contextmanager
def _another_api(stack: Stack, **settings: str) -> Iterator[str]:
    """The URL of a second API beside the session's one, with other settings."""
    other = replace(stack, port=free_port("127.0.0.1", 0), processes={}, settings={**stack.settings, **settings})
    other.start("api")
    try:
        yield other.url
    finally:
        other.stop()


@pytest.fixture
async def no_worker(stack: Stack) -> AsyncIterator[None]:
    stack.kill("worker")
    yield
    if "worker" not in stack.processes:
        stack.start("worker")


async def test_the_backlog_is_bounded_and_works_itself_off(stack: Stack, no_worker: None) -> None:
    with _another_api(stack, FOOTFALL_BACKLOG_LIMIT_EVENTS="50") as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            forty = {"interactions": [body() for _ in range(40)]}
            assert (await http.post("/interaction", json=forty)).status_code == 202
            refused = await http.post("/interaction", json=forty)
            assert refused.status_code == 429
            assert refused.headers["content-type"] == "application/problem+json"
            assert int(refused.headers["retry-after"]) >= 1
            assert (await http.get("/popularity/top")).status_code == 200
            stack.start("worker")

            async def taken_again() -> None:
                assert (await http.post("/interaction", json=forty)).status_code == 202

            await eventually(taken_again, within_s=60)


async def test_without_any_fan_out_the_front_door_and_the_reads_go_on(stack: Stack, no_worker: None) -> None:
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as http:
        for _ in range(50):
            assert (await http.post("/interaction", json=body())).status_code == 202
        assert (await http.get("/interactions/alice")).status_code == 200
        waiting = (await http.post("/interaction", json=body())).json()
        receipt = (await http.get(f"/interaction/{waiting['event_ids'][0]}", params={"wait": "50ms"})).json()
        assert (receipt["state"], receipt["batch_id"]) == ("waiting", waiting["batch_id"])


async def test_an_address_is_believed_from_a_trusted_proxy_only(stack: Stack) -> None:
    account = str(uuid4())
    with _another_api(stack, FOOTFALL_TRUSTED_PROXIES="127.0.0.0/8") as url:
        async with httpx.AsyncClient(base_url=url, timeout=30, headers={"X-Forwarded-For": "203.0.113.9"}) as http:
            accepted = (await http.post("/interaction", json=body(account_id=account))).json()
            await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})
            (item,) = (await http.get(f"/interactions/{account}")).json()["items"]
    assert item["ip_address"] == "203.0.113.9"


async def test_without_postgres_nothing_is_accepted_and_with_it_everything_is_again(
    servers_dir: Path, temporal: Temporal
) -> None:
    server = EmbeddedPostgres(servers_dir / "other-postgres", servers_dir / "other-logs")
    server.start()
    await migrate_postgres(server.url)
    stack = Stack(server.url, temporal.address, servers_dir / "other-logs")
    stack.start("api")
    event = body(event_id=str(uuid4()))
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as http:
        assert (await http.post("/interaction", json=body())).status_code == 202
        server.stop()
        refused = await http.post("/interaction", json=event)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        ready = await http.get("/health/ready")
        assert ready.status_code == 503
        assert {name: one["ok"] for name, one in ready.json()["dependencies"].items()} == {
            "postgres": False,
            "block_store": False,
            "temporal": True,
        }
        assert (await http.get("/popularity/top")).status_code == 503
        assert (await http.get("/health/live")).status_code == 200
        server.start()

        async def accepted_again() -> None:
            assert (await http.post("/interaction", json=event)).status_code == 202

        await eventually(accepted_again)
        assert (await http.post("/interaction", json=event)).json()["duplicates"] == 1
    stack.stop()
    server.stop()


async def test_a_broken_table_parks_one_fan_out_until_it_is_mended_and_replayed(
    http: httpx.AsyncClient, temporal_client: Client, broken: Broken
) -> None:
    product, account = str(uuid4()), str(uuid4())
    async with broken():
        accepted = (await http.post("/interaction", json=body(ref_id=product, account_id=account))).json()

        async def parked() -> None:
            receipt = (await http.get(f"/batches/{accepted['batch_id']}")).json()
            assert receipt["state"] == "parked"
            assert receipt["fan_outs"]["persist"] == {"state": "done"}
            assert "product_popularity" in receipt["fan_outs"]["popularity"]["reason"]

        await eventually(parked)
        assert len((await http.get(f"/interactions/{account}")).json()["items"]) == 1
        handle = temporal_client.get_workflow_handle(accepted["batch_id"])
        assert (await handle.describe()).typed_search_attributes.get(PARKED) == ["popularity"]
    await handle.execute_update(RecordInteractions.replay, [])
    receipt = (await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})).json()
    assert receipt["state"] == "done"
    assert (await http.get(f"/popularity/{product}")).json()["view_count"] == 1


async def test_a_fan_out_that_was_given_up_is_said_to_be_discarded(
    http: httpx.AsyncClient, temporal_client: Client, broken: Broken
) -> None:
    product, account = str(uuid4()), str(uuid4())
    async with broken():
        accepted = (await http.post("/interaction", json=body(ref_id=product, account_id=account))).json()
        batch = f"/batches/{accepted['batch_id']}"

        async def parked() -> None:
            assert (await http.get(batch)).json()["state"] == "parked"

        await eventually(parked)
    handle = temporal_client.get_workflow_handle(accepted["batch_id"])
    await handle.execute_update(RecordInteractions.discard, DiscardRequest("a test shop"))
    done, discarded = {"state": "done"}, {"state": "discarded", "reason": "a test shop"}
    of_batch = (await http.get(batch, params={"wait": "30s"})).json()
    of_event = (await http.get(f"/interaction/{accepted['event_ids'][0]}")).json()
    for receipt in (of_batch, of_event):
        assert receipt["state"] == "done"
        others = dict.fromkeys(("persist", "recommendations", "experiments"), done)
        assert receipt["fan_outs"] == {**others, "popularity": discarded}
    assert len((await http.get(f"/interactions/{account}")).json()["items"]) == 1
    assert (await http.get(f"/popularity/{product}")).status_code == 404
