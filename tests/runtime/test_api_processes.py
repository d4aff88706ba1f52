"""Several API processes behind one port."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import Temporal, eventually
from tests.factories import body
from tests.stack import Stack

PROCESSES = 2


@pytest.fixture
async def stack(database_url: str, temporal: Temporal, tmp_path: Path) -> AsyncIterator[Stack]:
    made = Stack(database_url, temporal.address, tmp_path, {"FOOTFALL_API_PROCESSES": str(PROCESSES)})
    made.start("api")
    yield made
    made.stop()


def _serving(stack: Stack) -> set[int]:
    """The processes that listen on the port, but for the one that started them."""
    parent = psutil.Process(stack.processes["api"].pid)
    return {child.pid for child in parent.children() if _listening(child, stack.port)}


def _listening(process: psutil.Process, port: int) -> list[object]:
    try:
        found = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        return []
    return [one for one in found if one.status == psutil.CONN_LISTEN and one.laddr.port == port]


async def _accepted(stack: Stack) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{stack.url}/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith("footfall_interactions_accepted_total ")]
    return float(line.split()[1])


async def _post_once(stack: Stack) -> int:
    """Over a connection of its own, which any of them may take."""
    async with httpx.AsyncClient() as client:
        return (await client.post(f"{stack.url}/interaction", json=body())).status_code


async def test_all_of_them_count_together(stack: Stack) -> None:
    assert len(_serving(stack)) == PROCESSES
    for _ in range(40):
        assert await _post_once(stack) == 202
    assert {await _accepted(stack) for _ in range(10)} == {40}


async def test_one_that_dies_is_replaced(stack: Stack) -> None:
    before = _serving(stack)
    os.kill(min(before), signal.SIGKILL)

    async def replaced() -> None:
        now = _serving(stack)
        assert len(now) == PROCESSES
        assert now != before

    await eventually(replaced)
    assert await _post_once(stack) == 202


async def test_one_that_dies_while_it_is_asked_how_it_is_is_replaced_at_once(stack: Stack) -> None:
    before = _serving(stack)
    dying = min(before)
    os.kill(dying, signal.SIGSTOP)
    await asyncio.sleep(2)  # by now it was asked, and does not answer
    os.kill(dying, signal.SIGKILL)

    async def replaced() -> None:
        assert dying not in {child.pid for child in psutil.Process(stack.processes["api"].pid).children()}
        assert len(_serving(stack)) == PROCESSES

    await eventually(replaced, within_s=25)


async def test_they_are_replaced_one_by_one_and_the_port_stays_open(stack: Stack) -> None:
    before, answers, enough = _serving(stack), set[int](), asyncio.Event()

    async def keep_posting() -> None:
        while not enough.is_set():
            # One that ends may close a connection whose request it has not read: what clients send again.
            with suppress(httpx.ReadError, httpx.RemoteProtocolError):
                answers.add(await _post_once(stack))

    posting = asyncio.create_task(keep_posting())
    stack.processes["api"].send_signal(signal.SIGHUP)

    async def replaced() -> None:
        now = _serving(stack)
        assert len(now) == PROCESSES
        assert not now & before

    await eventually(replaced)
    enough.set()
    await posting
    assert answers == {202}


async def test_none_outlives_the_one_that_started_them(stack: Stack) -> None:
    children = [psutil.Process(pid) for pid in _serving(stack)]
    stack.kill("api")

    async def gone() -> None:
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)

    await eventually(gone)
