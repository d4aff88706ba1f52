"""APIs and workers are replaced one after the other, under load: no request fails at the proxy, each counts once."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from runtime.settings import Settings
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.faults.check import drained, judge
from tests.faults.load import Load
from tests.haproxy import haproxy
from tests.stack import Stack

_LEAVE_S = 3
_BETWEEN_S = 1.5
"""For which an API is up before the next one leaves; the proxy looks twice a second."""


@pytest.fixture
async def pair(
    postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path
) -> AsyncIterator[tuple[list[Stack], str]]:
    """Two times an API and a worker, and the URL of the proxy before them."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        settings = {
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
            "FOOTFALL_LEAVE_S": str(_LEAVE_S),
            "FOOTFALL_TRUSTED_PROXIES": "127.0.0.1/32",
        }
        logs = [servers_dir / f"logs-{uuid4().hex[:8]}" for _ in range(2)]
        for one in logs:
            one.mkdir()
        stacks = [Stack(url, temporal.address, one, settings) for one in logs]
        try:
            for stack in stacks:
                stack.start()
            with haproxy([stack.port for stack in stacks], servers_dir) as front:
                yield stacks, front
        finally:
            for stack in stacks:
                stack.stop()


async def _roll(stack: Stack, name: str) -> None:
    process = stack.processes[name]
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 30)
    await asyncio.to_thread(stack.start, name)


async def test_no_request_fails_while_all_are_replaced(pair: tuple[list[Stack], str]) -> None:
    stacks, front = pair
    prefix, url = f"rolled-{uuid4().hex[:8]}-", stacks[0].database_url
    load = Load([front], prefix, seed=3, clients=30, requests_a_second=200)
    enough = asyncio.create_task(load.run(60.0))
    for stack in stacks:
        await asyncio.sleep(_BETWEEN_S)
        await _roll(stack, "worker")
        await _roll(stack, "api")
    await asyncio.sleep(_BETWEEN_S)
    load.stop()
    await enough
    sent = load.sent
    assert set(sent.answers) == {"202"}, sent.answers
    assert sent.sums["accepted"] == len(sent.bodies) > 1_000
    await drained(url)
    verdict = await judge(Settings.model_validate({"postgres_url": url}), prefix, sent, set(sent.bodies))
    assert verdict.faults == []
    assert verdict.events == len(sent.bodies)


async def test_an_api_that_leaves_says_so_and_serves_on(pair: tuple[list[Stack], str]) -> None:
    stacks, _ = pair
    stacks[0].processes["api"].send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=stacks[0].url) as http:

        async def says_so() -> None:
            assert (await http.get("/health/serving")).status_code == 503

        await eventually(says_so)
        answer = await http.get("/popularity/top")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["leaving"]) == (503, True)
    async with httpx.AsyncClient(base_url=stacks[1].url) as http:
        assert (await http.get("/health/serving")).status_code == 200
