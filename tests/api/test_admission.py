"""What is too much at once: refused with 503, at once full and soon free again, each kind of request for itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Temporal
from tests.factories import body
from tests.stack import Stack, no_commits

_MOST = 4
_MOST_BYTES = 20_000
_PADDING = 3_000


@pytest.fixture
async def small(database_url: str, temporal: Temporal, tmp_path: Path) -> AsyncIterator[Stack]:
    settings = {"FOOTFALL_REQUESTS_AT_ONCE": str(_MOST), "FOOTFALL_BYTES_AT_ONCE": str(_MOST_BYTES)}
    stack = Stack(database_url, temporal.address, tmp_path, settings)
    stack.start("api")
    yield stack
    stack.stop()


def _long(events: int) -> dict[str, object]:
    return {"interactions": [body(metadata={"padding": "x" * _PADDING}) for _ in range(events)]}


async def _post(http: httpx.AsyncClient, count: int, size: int = 0) -> list[httpx.Response]:
    sent = body(metadata={"padding": "x" * size})
    return await asyncio.gather(*(http.post("/interaction", json=sent) for _ in range(count)))


async def test_more_requests_than_there_is_room_for(small: Stack) -> None:
    async with httpx.AsyncClient(base_url=small.url, timeout=30) as http:
        async with no_commits(small.database_url):
            let_in = asyncio.create_task(_post(http, _MOST))
            await asyncio.sleep(1)
            (refused,) = await _post(http, 1)
            assert (await http.get("/popularity/top")).status_code == 200
            assert (await http.get("/health/live")).status_code == 200
            assert not let_in.done()
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["content-type"] == "application/problem+json"
        assert [one.status_code for one in await let_in] == [202] * _MOST
        assert [one.status_code for one in await _post(http, _MOST)] == [202] * _MOST
        metrics = (await http.get("/metrics")).text
    assert 'footfall_requests_refused_total{reason="overload",status="503"} 1.0' in metrics


async def test_more_bytes_than_there_is_room_for(small: Stack) -> None:
    async with httpx.AsyncClient(base_url=small.url, timeout=30) as http:
        async with no_commits(small.database_url):
            let_in = asyncio.create_task(_post(http, 2, _PADDING))
            await asyncio.sleep(1)
            refused = await http.post("/interaction", json=_long(6))
        assert refused.status_code == 503
        assert [one.status_code for one in await let_in] == [202, 202]


async def test_one_request_alone_always_fits(small: Stack) -> None:
    async with httpx.AsyncClient(base_url=small.url, timeout=30) as http:
        assert (await http.post("/interaction", json=_long(10))).status_code == 202
