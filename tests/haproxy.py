"""A real HAProxy for the tests, with the configuration that ships: Debian's package haproxy."""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.children import Command, log_tail, spawn, stop
from runtime.ports import free_port
from tests.needed import give_up

CONFIGURATION = Path(__file__).parent.parent / "deploy" / "haproxy.cfg"
_START_S = 30.0
_STOP_S = 10.0


@contextmanager
def haproxy(apis: Sequence[int], folder: Path, configuration: Path = CONFIGURATION) -> Iterator[str]:
    """The URL of a proxy before the APIs at these ports, of which one at least answers.

    Raises:
        AssertionError: it does not start; with the end of its log.

    """
    if shutil.which("haproxy") is None:
        give_up("no HAProxy: haproxy is not on the PATH", "FOOTFALL_TESTS_NEED_HAPROXY")
    port = free_port("127.0.0.1", 0)
    addresses = {f"FOOTFALL_API_{number}": f"127.0.0.1:{api}" for number, api in enumerate(apis, start=1)}
    command = Command(
        "haproxy",
        ["haproxy", "-db", "-f", str(configuration)],
        {**os.environ, **addresses, "FOOTFALL_FRONT": f"127.0.0.1:{port}"},
        folder / "haproxy.log",
    )
    process = spawn(command)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, command)
        yield url
    finally:
        stop(process, command, _STOP_S)


def _wait(url: str, process: "subprocess.Popen[bytes]", command: Command) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health/live", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline or process.poll() is not None:
                raise AssertionError(f"HAProxy does not start:\n{log_tail(command.log_file)}") from None
            time.sleep(0.05)
