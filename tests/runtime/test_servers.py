"""The embedded servers: they keep their data, and nothing of them outlives whoever started them."""

import io
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest
from rich.console import Console
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from domain.errors import ConflictError, FootfallError
from runtime import temporal_binary
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from runtime.temporal_binary import cache_dir, find_temporal
from runtime.temporal_server import TemporalServer


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="footfall-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


async def _value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_postgres_keeps_its_data(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", folder / "logs")
    server.start()
    await _value(server.url, "CREATE TABLE kept AS SELECT 7 AS x")
    server.stop()
    server.start()
    assert await _value(server.url, "SELECT x FROM kept") == 7
    assert await _value(server.url, "SHOW listen_addresses") == ""
    assert await _value(server.url, "SHOW synchronous_commit") == "on"
    server.stop()


async def test_postgres_in_a_folder_whose_path_is_too_long_for_a_socket(folder: Path) -> None:
    server = EmbeddedPostgres(folder / ("long" * 25) / "pg", folder / "logs")
    server.start()
    assert await _value(server.url, "SELECT 1") == 1
    server.stop()


def test_a_folder_of_another_version_is_refused(folder: Path) -> None:
    (folder / "pg").mkdir()
    (folder / "pg" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConflictError, match="written by PostgreSQL 9"):
        EmbeddedPostgres(folder / "pg", folder / "logs").start()


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg", folder / "logs")
    server.start()
    server.stop()
    with (folder / "pg" / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_preload_libraries = 'nothing_like_it'\n")
    with pytest.raises(FootfallError, match="nothing_like_it"):
        server.start()


_START = """
import sys, time
from pathlib import Path
from runtime.postgres_server import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]) / "pg", Path(sys.argv[1]) / "logs")
server.start()
print(server.process.pid, flush=True)
time.sleep(600)
"""


def _started_by_another(folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    starter = subprocess.Popen([sys.executable, "-c", _START, str(folder)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    return starter, int(starter.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of their parent's death on Linux only")
def test_nothing_outlives_a_starter_that_is_killed(folder: Path) -> None:
    starter, server = _started_by_another(folder)
    tree = [psutil.Process(server), *psutil.Process(server).children(recursive=True)]
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    _until(lambda: not any(one.is_running() for one in tree), "PostgreSQL lives on")


async def test_a_server_that_was_left_behind_is_stopped_first(folder: Path) -> None:
    starter, left = _started_by_another(folder)
    server = EmbeddedPostgres(folder / "pg", folder / "logs")
    server.start()
    assert server.process is not None
    assert server.process.pid != left
    assert await _value(server.url, "SELECT 1") == 1
    server.stop()
    starter.kill()
    starter.communicate()


async def test_temporal_keeps_its_histories_and_what_has_ended_as_long_as_it_is_told(folder: Path) -> None:
    ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    server = TemporalServer(find_temporal(), folder, folder / "logs", port=ports[0], ui_port=ports[1], retention_h=3)
    server.start()
    client = await Client.connect(server.address)
    await client.start_workflow("Kept", id="kept", task_queue="nobody")
    server.stop()
    server.start()
    client = await Client.connect(server.address)
    assert (await client.get_workflow_handle("kept").describe()).workflow_type == "Kept"
    namespace = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert namespace.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(hours=3)
    server.stop()


def test_the_wanted_port_where_it_is_free_else_another() -> None:
    free = free_port("127.0.0.1", 0)
    assert free_port("127.0.0.1", free) == free
    with socket.create_server(("127.0.0.1", free)):
        assert free_port("127.0.0.1", free) != free


def _program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class TestFindTemporal:
    """The order in which it is looked for; programs of one line stand for Temporal and Go."""

    @pytest.fixture(autouse=True)
    def _empty_machine(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "bin").mkdir()
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setattr(temporal_binary, "_download", lambda _target, _console: "no network")

    @pytest.fixture
    def console(self) -> Console:
        return Console(file=io.StringIO())

    def test_on_path_first(self, folder: Path, console: Console) -> None:
        _program(folder / "bin" / "temporal", "true")
        _program(cache_dir() / "temporal", "true")
        assert find_temporal(console) == folder / "bin" / "temporal"

    def test_then_the_cache(self, console: Console) -> None:
        _program(cache_dir() / "temporal", "true")
        assert find_temporal(console) == cache_dir() / "temporal"

    def test_then_the_download(self, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        def download(target: Path, _console: Console) -> None:
            _program(target, "true")

        monkeypatch.setattr(temporal_binary, "_download", download)
        assert find_temporal(console) == cache_dir() / "temporal"

    def test_then_go_and_from_then_on_the_cache(self, folder: Path, console: Console) -> None:
        _program(folder / "bin" / "go", 'echo "$@" >> "$XDG_CACHE_HOME/asked"; echo built > "$GOBIN/temporal"')
        assert find_temporal(console).read_text() == "built\n"
        assert find_temporal(console).read_text() == "built\n"
        asked = (folder / "cache" / "asked").read_text()
        assert asked == "install github.com/temporalio/cli/cmd/temporal@v1.5.1\n"

    def test_a_build_that_fails_says_why_and_leaves_nothing(self, folder: Path, console: Console) -> None:
        _program(folder / "bin" / "go", "echo no space left; exit 1")
        with pytest.raises(FootfallError, match="no space left"):
            find_temporal(console)
        assert not (cache_dir() / "temporal").exists()

    def test_without_anything_it_says_what_to_install(
        self, console: Console, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(FootfallError, match="TEMPORAL_ADDRESS"):
            find_temporal(console)
