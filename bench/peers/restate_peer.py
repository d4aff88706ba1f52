"""Restate's server from npm, with the shopnexus flow behind it, as its documentation says to run them.

That is: the server with its own settings, but for addresses (memory sized for production, its log synced); the
service over HTTP/2, where the SDK streams both ways.

`restate` departs from that in one setting that is worth much here, `restate_default` does not: one partition in place
of 24. Measured on 2 cores, 3 s a load, drained/s for 1 a request over 32 connections, and for 100 a request: 249 and
456 with 24 partitions, 404 and 684 with two, 481 and 795 with one. With one, measured likewise and not better: two
workers of granian (414 and 797), 1,000,000 streams a connection (456 and 758), 64 invocations at once (465 and 762),
uvloop by name (465 and 762), granian's own tasks (376 and 538), no kept journals (357 and 698), no metrics (469 and
734). Runs of the same differed by a tenth and more.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.peers import restate_service
from bench.peers.postgres import peer_postgres
from bench.peers.system import HOST, Running
from runtime.caches import cache_dir
from runtime.ports import free_port

NAME = "Restate"
NAME_DEFAULT = "Restate, 24 partitions"
VERSION = "1.7.12"
_PACKAGE = f"@restatedev/restate-server@{VERSION}"
_PATIENCE_S = 60.0
_STOP_S = 10.0


def find_server() -> Path:
    """Restate's server, from the cache or by npm."""
    folder = cache_dir("restate", VERSION)
    pattern = "node_modules/@restatedev/restate-server-*/bin/restate-server"
    if not list(folder.glob(pattern)):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", _PACKAGE], check=True)
    return next(folder.glob(pattern))


@contextmanager
def restate(folder: Path) -> Iterator[Running]:
    """Server and service, and a PostgreSQL of the kind that Footfall has; with one partition."""
    with _with_postgres(folder, NAME, {"RESTATE_DEFAULT_NUM_PARTITIONS": "1"}) as running:
        yield running


@contextmanager
def restate_default(folder: Path) -> Iterator[Running]:
    with _with_postgres(folder, NAME_DEFAULT, {}) as running:
        yield running


@contextmanager
def _with_postgres(folder: Path, name: str, settings: Mapping[str, str]) -> Iterator[Running]:
    with (
        peer_postgres(folder, restate_service.SCHEMA) as database,
        _running(folder, name, settings, database) as running,
    ):
        yield running


@contextmanager
def _running(folder: Path, name: str, settings: Mapping[str, str], database: str) -> Iterator[Running]:
    ports = {name: free_port(HOST, 0) for name in ("ingress", "admin", "node", "service")}
    environment = {
        **os.environ,
        "RESTATE_BASE_DIR": str(folder / "data"),
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ports['ingress']}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{ports['admin']}",
        "RESTATE_BIND_ADDRESS": f"{HOST}:{ports['node']}",
        "RESTATE_LOG_FILTER": "warn",
        "DO_NOT_TRACK": "1",
        **settings,
    }
    service = [
        sys.executable, "-m", "granian", "--interface", "asginl", "--http", "2", "--host", HOST,
        "--port", str(ports["service"]), "--no-access-log", "--log-level", "warning",
        "bench.peers.restate_service:app",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen([find_server()], env=environment, stdout=log, stderr=log),
            subprocess.Popen(service, env={**os.environ, "BENCH_POSTGRES_URL": database}, stdout=log, stderr=log),
        ]
        try:
            _register(f"http://{HOST}:{ports['admin']}", f"http://{HOST}:{ports['service']}", folder / "log")
            path = "/Analytic/CreateInteraction"
            yield Running(name, ports["ingress"], path, list, database, "restate_popularity")
        finally:
            for process in processes:  # the server first: granian waits until its connections are closed
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()


def _register(admin: str, service: str, log: Path) -> None:
    body = msgspec.json.encode({"uri": service, "force": True})
    request = urllib.request.Request(f"{admin}/deployments", body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Restate does not come up: {error}\n{log.read_text()[-2000:]}") from error
            time.sleep(0.2)
