"""Temporal's dev server, an API and a worker: a workflow a request."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers import temporal_service
from bench.peers.postgres import peer_postgres
from bench.peers.system import HOST, Running
from bench.stack import wait_for_answer
from runtime.ports import free_port
from runtime.temporal_binary import find_temporal
from runtime.temporal_server import TemporalServer

NAME = "Temporal, a workflow a request"


@contextmanager
def temporal_a_request(folder: Path) -> Iterator[Running]:
    """With Footfall's own settings of the dev server, and a PostgreSQL of the kind that Footfall has."""
    with peer_postgres(folder, temporal_service.SCHEMA) as database, _running(folder, database) as running:
        yield running


@contextmanager
def _running(folder: Path, database: str) -> Iterator[Running]:
    server = TemporalServer(find_temporal(), folder, folder, port=free_port(HOST, 0), ui_port=free_port(HOST, 0))
    server.start()
    port = free_port(HOST, 0)
    environment = {
        **os.environ, "BENCH_POSTGRES_URL": database, "BENCH_TEMPORAL_ADDRESS": server.address,
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.peers.temporal_service", *command],
                env=environment,
                stdout=log,
                stderr=log,
            )
            for command in (["api", str(port)], ["worker"])
        ]
        try:
            wait_for_answer(f"http://{HOST}:{port}/openapi.json", processes[0])
            yield Running(NAME, port, "/interaction", list, database, "peer_popularity")
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)
            server.stop()
