"""Finds Temporal's command line tool, which holds the dev server, or gets it once."""

import asyncio
import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from temporalio.testing import WorkflowEnvironment

from domain.errors import FootfallError
from runtime import caches

_log = logging.getLogger(__name__)

VERSION = "1.5.1"
_MODULE = f"github.com/temporalio/cli/cmd/temporal@v{VERSION}"  # newer ones carry replace directives: no go install
_DOWNLOAD_S = 60.0
_SAY_EVERY_S = 15.0


def find_temporal(console: Console | None = None) -> Path:
    """`temporal` on PATH, from the cache, by the SDK's download, or built with Go; in this order.

    The first time may take minutes, and says so on `console`.

    Raises:
        FootfallError: none of these; says what to install.

    """
    console = console or Console(stderr=True)
    on_path = shutil.which("temporal")
    if on_path is not None:
        return Path(on_path)
    cached = cache_dir() / "temporal"
    if cached.exists():
        return cached
    with _locked(cache_dir()):
        if cached.exists():  # another process had the lock and got it
            return cached
        reason = _download(cached, console)
        if reason is None:
            return cached
        console.print(f"Temporal's server can't be downloaded here: {reason}", highlight=False, soft_wrap=True)
        _build(cached, console)
        return cached


def cache_dir() -> Path:
    return caches.cache_dir("temporal", VERSION)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(target: Path, console: Console) -> str | None:
    """The SDK downloads a server as part of starting one: None, or why it could not."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder, console.status("downloading Temporal's server …"):
        try:
            asyncio.run(asyncio.wait_for(_start_and_stop(folder), _DOWNLOAD_S))
        except (RuntimeError, TimeoutError) as error:
            return str(error).strip().splitlines()[-1] if str(error) else f"nothing came in {_DOWNLOAD_S:.0f} s"
        found = [file for file in Path(folder).iterdir() if file.is_file() and os.access(file, os.X_OK)]
        if len(found) != 1:
            return "the SDK left no server behind"
        found[0].replace(target)
    return None


async def _start_and_stop(folder: str) -> None:
    environment = await WorkflowEnvironment.start_local(download_dest_dir=folder, dev_server_log_level="error")
    await environment.shutdown()


def _build(target: Path, console: Console) -> None:
    go = shutil.which("go")
    if go is None:
        raise FootfallError(
            f"Temporal's server is needed: install the `temporal` command line tool (version {VERSION} or later) or "
            "Go, or set TEMPORAL_ADDRESS to a server that runs"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        output = Path(folder) / "go.log"
        with output.open("wb") as log:
            build = subprocess.Popen(  # noqa: S603
                [go, "install", _MODULE], env={**os.environ, "GOBIN": folder}, stdout=log, stderr=subprocess.STDOUT
            )
            _wait_saying(build, console)
        if build.returncode != 0:
            tail = "\n".join(output.read_text(errors="replace").splitlines()[-15:])
            raise FootfallError(f"`go install {_MODULE}` failed:\n{tail}")
        (Path(folder) / "temporal").replace(target)


def _wait_saying(build: "subprocess.Popen[bytes]", console: Console) -> None:
    """Waits with a sign of life: a spinner on a terminal, else a line every 15 seconds."""
    started = time.monotonic()
    with console.status("") as status:
        while True:
            message = f"building Temporal's server, once, about 3 minutes … {time.monotonic() - started:.0f} s"
            if console.is_terminal:
                status.update(message)
            else:
                console.print(message, highlight=False)
            try:
                build.wait(1.0 if console.is_terminal else _SAY_EVERY_S)
            except subprocess.TimeoutExpired:
                continue
            return


if __name__ == "__main__":
    print(find_temporal())  # noqa: T201
