"""A Footfall of real processes, each of which can be hurt: two APIs, two workers, PostgreSQL, Temporal."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
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

APIS = ("api-1", "api-2")
WORKERS = ("worker-1", "worker-2")
_RESTART_AFTER_S = 0.5
_PATIENCE_S = 30.0
_READY_S = 60.0


class System:
    """Starts everything in a folder; what dies of ours is started again, as a supervisor does."""

    def __init__(self, folder: Path, *, cql: bool) -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self.disk = SmallDisk(folder / "postgres")
        self.clocks = Clocks(folder / "clocks")
        self.postgres = EmbeddedPostgres(folder / "postgres", self._logs)
        self.cassandra = CassandraServer(folder / "cassandra", self._logs) if cql else None
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
        """Those that say where the blocks are."""
        return Settings.model_validate({**self._cql_environment, "postgres_url": self.postgres.url})

    @property
    def _cql_environment(self) -> dict[str, str]:
        return {} if self.cassandra is None else self.cassandra.environment

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    async def start(self) -> None:
        self.disk.mount()
        self.postgres.start()
        if self.cassandra is not None:
            self.cassandra.start()
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
        for name in (*self._processes, "postgres", "temporal", "cassandra"):
            self.resume(name)
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(_PATIENCE_S)
            self.clocks.clear_up_after(process.pid)
        self.link.stop()
        self.temporal.stop()
        if self.cassandra is not None:
            self.cassandra.stop()
        self.postgres.stop()
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
        for server in (self.postgres, self.temporal, self.cassandra):
            if server is not None and (server.process is None or server.process.poll() is not None):
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
        servers: dict[str, EmbeddedPostgres | TemporalServer | CassandraServer | None]
        servers = {"postgres": self.postgres, "temporal": self.temporal, "cassandra": self.cassandra}
        server = servers.get(name)
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
            "FOOTFALL_SWEEP_INTERVAL_S": "1",
            "FOOTFALL_SWEEP_AFTER_S": "4",
            "FOOTFALL_DATA_DIR": str(self._folder / "none"),
            **self._cql_environment,
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
