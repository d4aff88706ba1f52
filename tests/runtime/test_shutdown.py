"""Whatever has become of PostgreSQL and Temporal: our processes end when they are told to, and start without them."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest

from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from runtime.temporal_binary import find_temporal
from runtime.temporal_server import TemporalServer
from tests.conftest import eventually
from tests.factories import body
from tests.stack import Stack

_STOP_S = 30.0
"""What `footfall up` and Kubernetes give a process before they kill it."""
_ORDERLY = {0, -signal.SIGTERM}
"""How a process ends that needs nobody to end it; uvicorn ends by the signal that it heard."""
_WITHOUT_TEMPORAL = {"api": _ORDERLY, "worker": {*_ORDERLY, 1, os.EX_SOFTWARE}}
"""The SDK's worker fails where its server is gone, and waits for ever for one that is frozen: it is ended then."""

Server = EmbeddedPostgres | TemporalServer


def _family(server: Server) -> list[psutil.Process]:
    if server.process is None or server.process.poll() is not None:
        return []
    parent = psutil.Process(server.process.pid)
    return [parent, *parent.children(recursive=True)]


def freeze(server: Server) -> None:
    for process in _family(server):
        process.suspend()


def kill(server: Server) -> None:
    assert server.process is not None
    for process in _family(server):
        with suppress(psutil.NoSuchProcess):  # PostgreSQL's children end with it
            process.kill()
    server.process.wait()


def freeze_and_kill(server: Server) -> None:
    freeze(server)
    kill(server)


def bring_back(server: Server) -> None:
    for process in _family(server):
        process.resume()
    if server.process is None or server.process.poll() is not None:
        server.start()


@pytest.fixture(scope="module")
def postgres(servers_dir: Path) -> Iterator[EmbeddedPostgres]:
    """One of our own, to be frozen and killed."""
    server = EmbeddedPostgres(servers_dir / "hurt" / "postgres", servers_dir / "hurt")
    server.start()
    asyncio.run(migrate_postgres(server.url))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def temporal(servers_dir: Path) -> Iterator[TemporalServer]:
    ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    folder = servers_dir / "hurt"
    server = TemporalServer(find_temporal(), folder, folder, port=ports[0], ui_port=ports[1])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stack(postgres: EmbeddedPostgres, temporal: TemporalServer, tmp_path: Path) -> Iterator[Stack]:
    """Not started yet; at the end its processes are gone and its servers are as they were."""
    stack = Stack(postgres.url, temporal.address, tmp_path, {"FOOTFALL_SWEEP_AFTER_S": "2"})
    yield stack
    for name in list(stack.processes):
        stack.kill(name)
    for server in (postgres, temporal):
        bring_back(server)


async def _ends(stack: Stack, name: str, codes: set[int] = _ORDERLY) -> None:
    """Tells a process to end; fails where it does not, or ends otherwise."""
    process = stack.processes[name]
    process.terminate()
    code = await asyncio.to_thread(process.wait, _STOP_S)
    log = (stack.logs / f"{name}.log").read_text()
    assert code in codes, log[-3000:]


@pytest.mark.parametrize("hurt", [freeze, kill, freeze_and_kill])
async def test_both_end_though_postgresql_is_gone(
    stack: Stack, postgres: EmbeddedPostgres, hurt: Callable[[Server], None]
) -> None:
    stack.start()
    hurt(postgres)
    await asyncio.gather(_ends(stack, "api"), _ends(stack, "worker"))


@pytest.mark.parametrize("hurt", [freeze, kill])
async def test_both_end_though_temporal_is_gone(
    stack: Stack, temporal: TemporalServer, hurt: Callable[[Server], None]
) -> None:
    stack.start()
    hurt(temporal)
    await asyncio.gather(*(_ends(stack, name, codes) for name, codes in _WITHOUT_TEMPORAL.items()))


async def test_an_api_that_ends_amid_a_commit_loses_nothing_that_it_acknowledged(
    stack: Stack, postgres: EmbeddedPostgres
) -> None:
    product = str(uuid4())
    first, second = (body(ref_id=product, event_id=str(uuid4())) for _ in range(2))
    stack.start()
    async with httpx.AsyncClient(base_url=stack.url, timeout=_STOP_S) as http:
        assert (await http.post("/interaction", json=first)).status_code == 202
        freeze(postgres)
        unanswered = asyncio.create_task(http.post("/interaction", json=second))
        await _is_busy(stack)
        await _ends(stack, "api")
        assert await _status(unanswered) != 202
    bring_back(postgres)
    stack.start("api")
    async with httpx.AsyncClient(base_url=stack.url, timeout=_STOP_S) as http:
        assert (await http.post("/interaction", json={"interactions": [first, second]})).status_code == 202

        async def counted_once() -> None:
            assert (await http.get(f"/popularity/{product}")).json().get("view_count") == 2

        await eventually(counted_once, within_s=60)


async def _is_busy(stack: Stack) -> None:
    """Returns when the API has a request under way."""

    async def connected() -> None:
        connections = psutil.Process(stack.processes["api"].pid).net_connections("tcp")
        assert any(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == stack.port for one in connections)

    await eventually(connected)


async def _status(request: "asyncio.Task[httpx.Response]") -> int | None:
    try:
        return (await request).status_code
    except httpx.TransportError:
        return None


async def test_a_worker_ends_amid_an_activity_whose_postgresql_is_frozen(
    stack: Stack, postgres: EmbeddedPostgres
) -> None:
    stack.start()
    connection = await asyncpg.connect(postgres.url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE product_popularity")
    async with httpx.AsyncClient(base_url=stack.url) as http:
        assert (await http.post("/interaction", json=body(ref_id=str(uuid4())))).status_code == 202

    async def waits_for_the_lock() -> None:
        assert await connection.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'product_popularity'::regclass"
        )

    await eventually(waits_for_the_lock)
    freeze(postgres)
    await _ends(stack, "worker")
    bring_back(postgres)
    await transaction.rollback()
    await connection.close()


@pytest.mark.parametrize("hurt", [freeze, kill])
async def test_started_without_postgresql_both_wait_and_say_so(
    stack: Stack, postgres: EmbeddedPostgres, hurt: Callable[[Server], None]
) -> None:
    product = str(uuid4())
    hurt(postgres)
    stack.start_unready("api", "worker")
    async with httpx.AsyncClient(base_url=stack.url, timeout=_STOP_S) as http:

        async def lives() -> None:
            assert await _status(asyncio.create_task(http.get("/health/live"))) == 200

        async def say_so() -> None:
            for name in ("api", "worker"):
                assert "PostgreSQL" in (stack.logs / f"{name}.log").read_text(), name

        await eventually(lives)
        assert (await http.get("/health/serving")).status_code == 503
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["dependencies"]["postgres"]["ok"]) == (503, False)
        await eventually(say_so)
        bring_back(postgres)

        async def counted() -> None:
            assert (await http.post("/interaction", json=event)).status_code == 202
            assert (await http.get(f"/popularity/{product}")).json().get("view_count") == 1

        event = body(ref_id=product, event_id=str(uuid4()))
        await eventually(counted, within_s=60)
        assert (await http.get("/health/serving")).status_code == 200
    assert {process.poll() for process in stack.processes.values()} == {None}


@pytest.mark.parametrize("hurt", [freeze, kill])
async def test_both_end_while_they_wait_for_postgresql(
    stack: Stack, postgres: EmbeddedPostgres, hurt: Callable[[Server], None]
) -> None:
    hurt(postgres)
    stack.start_unready("api", "worker")

    async def say_so() -> None:
        for name in ("api", "worker"):
            assert "PostgreSQL" in (stack.logs / f"{name}.log").read_text(), name

    await eventually(say_so)
    await asyncio.gather(_ends(stack, "api"), _ends(stack, "worker"))


async def test_a_worker_ends_while_it_waits_for_temporal(stack: Stack, temporal: TemporalServer) -> None:
    kill(temporal)
    stack.start_unready("worker")

    async def says_so() -> None:
        assert "does not answer yet" in (stack.logs / "worker.log").read_text()

    await eventually(says_so)
    await _ends(stack, "worker")
