"""APIs and workers are replaced one after the other, under load: no request fails at the proxy, each counts once."""

import asyncio
import signal
from uuid import uuid4

import httpx

from runtime.settings import Settings
from tests.conftest import eventually
from tests.faults.check import drained, judge
from tests.faults.load import Load
from tests.scale.rolling import Pair, roll


async def test_no_request_fails_while_all_are_replaced(pair: Pair) -> None:
    prefix, url = f"rolled-{uuid4().hex[:8]}-", pair.stacks[0].database_url
    load = Load([pair.front], prefix, seed=3, clients=30, requests_a_second=200)
    loading = asyncio.create_task(load.run(600.0))
    await roll(pair.stacks)
    load.stop()
    await loading
    sent = load.sent
    assert set(sent.answers) == {"202"}, sent.failures
    assert sent.sums["accepted"] == len(sent.bodies) > 1_000
    await drained(url)
    verdict = await judge(Settings.model_validate({"postgres_url": url}), prefix, sent, set(sent.bodies))
    assert verdict.faults == []
    assert verdict.events == len(sent.bodies)


async def test_an_api_that_leaves_says_so_and_serves_on(pair: Pair) -> None:
    leaving, staying = pair.stacks
    leaving.processes["api"].send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=leaving.url) as http:

        async def says_so() -> None:
            assert (await http.get("/health/serving")).status_code == 503

        await eventually(says_so)
        answer = await http.get("/popularity/top")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["leaving"]) == (503, True)
    async with httpx.AsyncClient(base_url=staying.url) as http:
        assert (await http.get("/health/serving")).status_code == 200
