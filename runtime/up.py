"""`footfall up`: everything on one machine, in one process tree."""

import asyncio
import fcntl
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from domain.errors import ConflictError, FootfallError
from runtime.children import Command, log_tail
from runtime.connections import migrate_stores
from runtime.instance import Instance, remove_instance, write_instance
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from runtime.settings import Settings
from runtime.supervisor import Process, Server, Supervisor
from runtime.temporal_binary import find_temporal
from runtime.temporal_server import TemporalServer

_OWN_HOST = "127.0.0.1"
_TEMPORAL_PORT = 7233
_TEMPORAL_UI_PORT = 8233
_READY_S = 60.0


class Stack:
    """The parts of a running `footfall up`, in the order in which they are started: Temporal, PostgreSQL, worker,
    recommender, API, gRPC.
    """

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._data_dir = settings.data_dir.resolve()
        self._logs = self._data_dir / "logs"
        self._supervisor = Supervisor(on_restart=self._write_instance, show=self._show)
        self._servers: dict[str, Server] = {}
        self._postgres_url = settings.postgres_url.get_secret_value() if settings.postgres_url else ""
        self._temporal_address = settings.temporal_address or ""
        self._temporal_ui_url: str | None = None
        self._port = settings.port
        self._recommender_port = settings.recommender_port
        self._metrics_port = settings.worker_metrics_port
        self._grpc_port = settings.grpc_port
        self._grpc_metrics_port = settings.grpc_metrics_port

    def run(self) -> None:
        """Runs until Ctrl-C or SIGTERM.

        Raises:
            FootfallError: a part does not start, or keeps dying.

        """
        started = time.monotonic()
        with _locked(self._data_dir):
            temporal = None if self._temporal_address else self._temporal_server()
            started_building = time.monotonic() - started
            self._supervisor.handle_signals()
            try:
                self._start(temporal)
                if not self._supervisor.stopping:
                    self._announce(time.monotonic() - started, started_building)
                self._supervisor.watch()
            finally:
                self._console.print("stopping …")
                self._supervisor.stop_all()
                remove_instance(self._data_dir)

    def _start(self, temporal: TemporalServer | None) -> None:
        """Temporal takes longest, so it starts first; the others do their work while it does."""
        if temporal is not None:
            self._launch("temporal", temporal)
        if not self._postgres_url:
            postgres = EmbeddedPostgres(self._data_dir / "postgres", self._logs)
            self._postgres_url = postgres.url
            self._launch("postgres", postgres)
            postgres.wait_until_ready()
        for name in asyncio.run(migrate_stores(self._settings, self._postgres_url)):
            self._show(f"applied migration {name}")
        self._port = self._choose_port("the API", self._settings.host, self._settings.port)
        self._recommender_port = self._choose_port("the recommender", _OWN_HOST, self._recommender_port)
        if self._metrics_port:
            self._metrics_port = self._choose_port("the worker's metrics", _OWN_HOST, self._metrics_port)
        if self._grpc_port:
            self._grpc_port = self._choose_port("gRPC", self._settings.host, self._grpc_port)
        if self._grpc_metrics_port:
            self._grpc_metrics_port = self._choose_port("gRPC's metrics", _OWN_HOST, self._grpc_metrics_port)
        self._launch("worker", self._process("worker"))
        self._launch("recommender", self._process("recommender"))
        self._launch("api", self._process("api"))
        if self._grpc_port:
            self._launch("grpc", self._process("grpc"))
        if temporal is not None:
            temporal.wait_until_ready()
        self._wait_until_ready()
        self._write_instance()

    def _launch(self, name: str, server: Server) -> None:
        self._servers[name] = server
        self._supervisor.launch(server)

    def _temporal_server(self) -> TemporalServer:
        binary = find_temporal(self._console)
        port = self._choose_port("Temporal", "127.0.0.1", _TEMPORAL_PORT)
        ui_port = self._choose_port("the Temporal UI", "127.0.0.1", _TEMPORAL_UI_PORT)
        server = TemporalServer(
            binary,
            self._data_dir,
            self._logs,
            port=port,
            ui_port=ui_port,
            retention_h=self._settings.temporal_retention_h,
        )
        self._temporal_address, self._temporal_ui_url = server.address, server.ui_url
        return server

    def _process(self, name: str) -> Process:
        environment = {
            **os.environ,
            "FOOTFALL_POSTGRES_URL": self._postgres_url,
            "FOOTFALL_HOST": self._settings.host,
            "FOOTFALL_PORT": str(self._port),
            "FOOTFALL_DATA_DIR": str(self._data_dir),
            "FOOTFALL_LEAVE_S": "0",  # no proxy looks
            "FOOTFALL_WORKER_METRICS_HOST": _OWN_HOST,
            "FOOTFALL_WORKER_METRICS_PORT": str(self._metrics_port),
            "FOOTFALL_GRPC_PORT": str(self._grpc_port),
            "FOOTFALL_GRPC_METRICS_HOST": _OWN_HOST,
            "FOOTFALL_GRPC_METRICS_PORT": str(self._grpc_metrics_port),
            "FOOTFALL_RECOMMENDER_HOST": _OWN_HOST,
            "FOOTFALL_RECOMMENDER_PORT": str(self._recommender_port),
            "FOOTFALL_RECOMMENDER_URL": self._recommender_url,
            "TEMPORAL_ADDRESS": self._temporal_address,
            "TEMPORAL_NAMESPACE": self._settings.temporal_namespace,
        }
        arguments = [sys.executable, "-m", "runtime.cli", name]
        return Process(Command(name, arguments, environment, self._logs / f"{name}.log"))

    def _choose_port(self, what: str, host: str, wanted: int) -> int:
        port = free_port(host, wanted)
        if wanted not in {port, 0}:
            self._show(f"port {wanted} is taken; {what} gets {port}")
        return port

    def _wait_until_ready(self) -> None:
        """The recommender takes longest: until its model is loaded, a core is busy with that."""
        deadline = time.monotonic() + _READY_S
        waited_for = {
            "api": partial(_answers, f"{self._api_url}/health/ready"),
            "recommender": partial(_answers, f"{self._recommender_url}/health/ready"),
        }
        if self._grpc_port:
            waited_for["grpc"] = partial(_listens, self._reachable_host, self._grpc_port)
        while waited_for and not self._supervisor.stopping:
            self._supervisor.look()
            name = next(iter(waited_for))
            if waited_for[name]():
                del waited_for[name]
            elif time.monotonic() > deadline:
                raise FootfallError(
                    f"{name} is not ready after {_READY_S:.0f} s:\n{log_tail(self._logs / f'{name}.log')}"
                )
            else:
                time.sleep(0.05)

    @property
    def _api_url(self) -> str:
        return f"http://{self._reachable_host}:{self._port}"

    @property
    def _grpc_address(self) -> str | None:
        return f"{self._reachable_host}:{self._grpc_port}" if self._grpc_port else None

    @property
    def _reachable_host(self) -> str:
        """Of what others may reach, from here."""
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._settings.host, self._settings.host)  # noqa: S104

    @property
    def _metrics_urls(self) -> dict[str, str]:
        addresses = {"api": self._api_url, "recommender": self._recommender_url}
        if self._metrics_port:
            addresses["worker"] = f"http://{_OWN_HOST}:{self._metrics_port}"
        if self._grpc_port and self._grpc_metrics_port:
            addresses["grpc"] = f"http://{_OWN_HOST}:{self._grpc_metrics_port}"
        return {name: f"{address}/metrics" for name, address in sorted(addresses.items())}

    @property
    def _recommender_url(self) -> str:
        return f"http://{_OWN_HOST}:{self._recommender_port}"

    def _write_instance(self) -> None:
        pids = {name: server.process.pid for name, server in self._servers.items() if server.process is not None}
        instance = Instance(
            api_url=self._api_url,
            docs_url=f"{self._api_url}/docs",
            postgres_url=self._postgres_url,
            temporal_address=self._temporal_address,
            temporal_ui_url=self._temporal_ui_url,
            pids={"supervisor": os.getpid(), **pids},
            metrics_urls=self._metrics_urls,
            grpc_address=self._grpc_address,
        )
        write_instance(self._data_dir, instance)

    def _announce(self, seconds: float, building_s: float) -> None:
        ui = self._temporal_ui_url or f"of the server at {self._temporal_address}"
        lines = [
            f"API          {self._api_url}",
            f"Docs page    {self._api_url}/docs",
            *([f"gRPC         {self._grpc_address}"] if self._grpc_address else []),
            f"Temporal UI  {ui}",
            *(f"Metrics      {url} ({name})" for name, url in self._metrics_urls.items()),
            f"Data, logs   {self._data_dir}",
        ]
        title = f"Footfall is ready after {seconds - building_s:.1f} s"
        self._console.print(Panel("\n".join(lines), title=title, subtitle="Ctrl-C stops everything", expand=False))

    def _show(self, message: str) -> None:
        self._console.print(message, highlight=False, markup=False)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """One `footfall up` a data folder."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ConflictError(f"`footfall up` runs on {data_dir} already, as process {lock.read()}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


def _listens(host: str, port: int) -> bool:
    """Whether there is a server; that of gRPC listens once it can answer."""
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=3):
            return True
    except OSError:
        return False
