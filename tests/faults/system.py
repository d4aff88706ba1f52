"""A Footfall of real processes, each of which can be hurt: two APIs, two workers, PostgreSQL, Temporal."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil

from domain.errors import FootfallError
from runtime.cassandra.server import CassandraServer
from runtime.connections import migrate_stores
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from runtime.settings import Settings
from runtime.temporal_binary import find_temporal
from runtime.temporal_server import TemporalServer
from tests.faults.clocks import Clocks
from tests.faults.disk import SmallDisk
from tests.faults.link import PostgresLink
from tests.redis_server import RedisServer

APIS = ("api-1", "api-2")
WORKERS = ("worker-1", "worker-2")
Server: TypeAlias = EmbeddedPostgres | TemporalServer | CassandraServer | RedisServer

_RESTART_AFTER_S = 0.5
_PATIENCE_S = 30.0
_READY_S = 60.0


class System:
    """Starts everything in a folder; what dies of ours is started again, as a supervisor does."""

    def __init__(self, folder: Path, more: Collection[str]) -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self.disk = SmallDisk(folder / "postgres")
        self.clocks = Clocks(folder / "clocks")
        self.postgres = EmbeddedPostgres(folder / "postgres", self._logs)
        self.cassandra = CassandraServer(folder / "cassandra", self._logs) if "cassandra" in more else None
        self.redis = RedisServer(folder / "redis") if "redis" in more else None
        ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
        self.temporal = TemporalServer(
            find_temporal(), folder / "temporal", self._logs, port=ports[0], ui_port=ports[1]
        )
        parts = urlsplit(self.postgres.url)
        query = parse_qs(parts.query)
        self.link = PostgresLink(f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}")
        self._ports = {name: free_port("127.0.0.1", 0) for name in APIS}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def settings(self) -> Settings:
        """Those that say where blocks and signals are."""
        redis = {} if self.redis is None else {"redis_url": self.redis.url}
        return Settings.model_validate({**self._cql_environment, **redis, "postgres_url": self.postgres.url})

    @property
    def _cql_environment(self) -> dict[str, str]:
        return {} if self.cassandra is None else self.cassandra.environment

    @property
    def _redis_environment(self) -> dict[str, str]:
        return {} if self.redis is None else {"FOOTFALL_REDIS_URL": self.redis.url}

    @property
    def _servers(self) -> dict[str, Server]:
        """Those of this run, by name."""
        every: dict[str, Server | None]
        every = {
            "postgres": self.postgres,
            "temporal": self.temporal,
            "cassandra": self.cassandra,
            "redis": self.redis,
        }
        return {name: server for name, server in every.items() if server is not None}

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    async def start(self) -> None:
        self.disk.mount()
        self.postgres.start()
        for server in (self.cassandra, self.redis):
            if server is not None:
                server.start()
        self.link.start()
        self.temporal.start()
        await migrate_stores(self.settings, self.postgres.url)
        for name in (*APIS, *WORKERS):
            self._launch(name)
        self._supervisor = asyncio.create_task(self._supervise(), name="supervisor")

    async def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        for name in (*self._processes, *self._servers):
            self.resume(name)
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(_PATIENCE_S)
            self.clocks.clear_up_after(process.pid)
        self.link.stop()
        for server in (self.temporal, self.cassandra, self.redis, self.postgres):
            if server is not None:
                server.stop()
        self.disk.unmount()

    async def ready(self) -> None:
        """Returns when both APIs and all behind them answer."""
        async with httpx.AsyncClient(timeout=5) as http:
            for url in self.urls:
                deadline = asyncio.get_running_loop().time() + _READY_S
                while True:
                    try:
                        answer = await http.get(f"{url}/health/ready")
                    except httpx.TransportError:
                        answer = None
                    if answer is not None and answer.status_code == httpx.codes.OK:
                        break
                    if asyncio.get_running_loop().time() > deadline:
                        raise AssertionError(f"{url} is not ready: {answer and answer.text}")
                    await asyncio.sleep(0.2)

    def kill(self, name: str) -> None:
        """As a power cut for this process and all its children."""
        for process in self._family(name):
            process.kill()

    def suspend(self, name: str) -> None:
        for process in self._family(name):
            process.suspend()

    def resume(self, name: str) -> None:
        for process in self._family(name):
            process.resume()

    def restart_postgres(self) -> None:
        """One that is frozen by another fault is thawed first: it could not stop."""
        self.resume("postgres")
        self.postgres.stop()
        self.revive()

    def revive(self) -> None:
        """Servers that were killed come back; ours come back by themselves.

        A PostgreSQL that can't start on a full disk is left to whoever empties it.
        """
        for server in self._servers.values():
            if server.process is None or server.process.poll() is not None:
                try:
                    server.start()
                except FootfallError:
                    if not self.disk.is_full:
                        raise

    def stop_temporal(self) -> None:
        self.resume("temporal")
        self.temporal.stop()

    def wipe_temporal(self) -> None:
        self.stop_temporal()
        for file in (self._folder / "temporal").glob("temporal.db*"):
            file.unlink()
        self.temporal.start()

    def _family(self, name: str) -> list[psutil.Process]:
        server = self._servers.get(name)
        process = self._processes.get(name) if server is None else server.process
        if process is None or process.poll() is not None:
            return []
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]

    def _launch(self, name: str) -> None:
        environment = {
            **os.environ,
            "FOOTFALL_POSTGRES_URL": f"postgresql://postgres@127.0.0.1:{self.link.port}/postgres?sslmode=disable",
            "TEMPORAL_ADDRESS": self.temporal.address,
            "FOOTFALL_PORT": str(self._ports.get(name, 0)),
            "FOOTFALL_WORKER_METRICS_PORT": "0",  # there are two of them
            "FOOTFALL_SWEEP_INTERVAL_S": "1",
            "FOOTFALL_SWEEP_AFTER_S": "4",
            "FOOTFALL_DATA_DIR": str(self._folder / "none"),
            **self._cql_environment,
            **self._redis_environment,
            **self.clocks.environment(name),
        }
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "runtime.cli", name.partition("-")[0]],
                env=environment, stdout=log, stderr=log,
            )  # fmt: skip

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(_RESTART_AFTER_S)
            for name, process in list(self._processes.items()):
                if process.poll() is not None:
                    self.clocks.clear_up_after(process.pid)
                    self._launch(name)
