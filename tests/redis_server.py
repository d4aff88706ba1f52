"""A real Redis for the tests: Debian's package redis-server, or any other that is on the PATH."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.children import Command, log_tail, spawn, stop
from runtime.ports import free_port
from tests.needed import give_up

_START_S = 30.0
_STOP_S = 15.0


class RedisServer:
    """One server in a folder, which syncs before it acknowledges."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ("--appendfsync", "always")) -> None:
        self._folder = folder.resolve()
        self.port = free_port("127.0.0.1", 0)
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        self._command = Command(
            "redis",
            ["redis-server", *arguments, "--appendonly", "yes", *options],
            os.environ,
            self._folder / "redis.log",
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Launches the server and waits until it takes commands.

        Raises:
            AssertionError: it does not; with the end of its log.

        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self.process = spawn(self._command)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                raise AssertionError(f"Redis does not start:\n{log_tail(self._command.log_file)}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, self._command, _STOP_S)
            self.process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A running one; skips the tests that ask for it where there is none to run, or fails them in CI."""
    if lacking := why_not():
        give_up(lacking, "FOOTFALL_TESTS_NEED_REDIS")
    server = RedisServer(folder / "redis")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def why_not() -> str | None:
    """What is lacking for one to run."""
    return None if shutil.which("redis-server") else "no Redis: redis-server is not on the PATH"
