"""The whole stack as a user starts it, and FastAPI alone beside it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runtime.instance import Instance, read_instance
from runtime.ports import free_port

_PATIENCE_S = 120.0


@contextmanager
def footfall_up(data_dir: Path, settings: Mapping[str, str] | None = None) -> Iterator[tuple[Instance, float]]:
    """A running `footfall up` on this folder, and the seconds that it took to be ready."""
    own = {"FOOTFALL_DATA_DIR": str(data_dir), "FOOTFALL_PORT": str(free_port("127.0.0.1", 0)), **(settings or {})}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.cli", "up"], env=environment(own), stdout=subprocess.DEVNULL
    )
    try:
        while (instance := read_instance(data_dir)) is None:
            if process.poll() is not None or time.perf_counter() - started > _PATIENCE_S:
                raise RuntimeError("`footfall up` did not come up")
            time.sleep(0.02)
        yield instance, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """That of this process, with these settings, and without servers: those of somebody's work must not be filled."""
    others = ("FOOTFALL_POSTGRES_URL", "FOOTFALL_REDIS_URL", "TEMPORAL_", "SCYLLA_")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)} | dict(own)


@contextmanager
def fastapi_alone(prepared: Path | None = None) -> Iterator[int]:
    """The port of a FastAPI that only validates and answers; a GET with what is in the file `prepared`."""
    port = free_port("127.0.0.1", 0)
    more = [] if prepared is None else [str(prepared)]
    process = subprocess.Popen([sys.executable, "-m", "bench.fastapi_alone", str(port), *more])
    try:
        wait_for_answer(f"http://127.0.0.1:{port}/openapi.json", process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def data_folder() -> Iterator[Path]:
    """A temporary folder that the embedded PostgreSQL's user can reach."""
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def wait_for_answer(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Returns when the process behind the URL answers."""
    deadline = time.perf_counter() + _PATIENCE_S
    while not _answers(url):
        if process.poll() is not None or time.perf_counter() > deadline:
            raise RuntimeError(f"what is to answer at {url} did not come up")
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
