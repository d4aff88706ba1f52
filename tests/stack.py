"""The API and the worker as processes of their own, as an operator runs them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from runtime.ports import free_port

_PATIENCE_S = 60.0


@dataclass
class Stack:
    """One API and one worker on one database; either can be killed and started again."""

    database_url: str
    temporal_address: str
    logs: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_port("127.0.0.1", 0))
    metrics_port: int = field(default_factory=lambda: free_port("127.0.0.1", 0))
    """The worker's."""
    code: Path = Path(__file__).parent.parent
    """The tree that runs, with an environment of its own where it is not this one."""
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "FOOTFALL_POSTGRES_URL": self.database_url,
            "TEMPORAL_ADDRESS": self.temporal_address,
            "FOOTFALL_PORT": str(self.port),
            "FOOTFALL_LEAVE_S": "0",
            "FOOTFALL_WORKER_METRICS_PORT": str(self.metrics_port),
            **self.settings,
        }

    def start(self, *names: str) -> None:
        self.start_unready(*(names or ("worker", "api")))
        if "api" in (names or ("api",)):
            self.wait_until_ready()

    def start_unready(self, *names: str) -> None:
        for name in names:
            with (self.logs / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self.command(name),
                    env=self.environment,
                    cwd=self.code,
                    stdout=log,
                    stderr=log,
                )

    def command(self, *arguments: str) -> list[str]:
        """To be run in `code`."""
        own = self.code == Path(__file__).parent.parent
        return [sys.executable if own else str(self.code / ".venv/bin/python"), "-m", "runtime.cli", *arguments]

    def kill(self, name: str) -> None:
        """As a machine that goes down: nothing is said, nothing is finished."""
        self._end(name, signal.SIGKILL)

    def stop(self) -> None:
        for name in ("api", "recommender", "worker"):
            if name in self.processes:
                self._end(name, signal.SIGTERM)

    def _end(self, name: str, sign: signal.Signals) -> None:
        process = self.processes.pop(name)
        process.send_signal(sign)
        process.wait(_PATIENCE_S)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or any(one.poll() is not None for one in self.processes.values()):
                    self.stop()
                    log = (self.logs / "api.log").read_text()
                    raise AssertionError(f"the stack does not come up:\n{log[-3000:]}") from None
                time.sleep(0.05)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process and those below it stand still: connections to it are there, and nothing answers."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for one in family:
        one.suspend()
    try:
        yield
    finally:
        for one in family:
            one.resume()


@asynccontextmanager
async def no_commits(url: str) -> AsyncIterator[None]:
    """Meanwhile nothing can be committed: what is let in stays under way."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE intake_log IN SHARE MODE")
            yield
    finally:
        await connection.close()


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


async def footfall(stack: Stack, *arguments: str) -> Done:
    """Runs a command beside the stack, with its settings."""
    process = await asyncio.create_subprocess_exec(
        *stack.command(*arguments),
        cwd=stack.code,
        env={**stack.environment, "COLUMNS": "250"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


async def footfall_says(stack: Stack, *arguments: str, code: int = 0) -> str:
    """What the command prints; it has to end with this code."""
    done = await footfall(stack, *arguments)
    assert done.code == code, (done.out, done.err)
    return done.out
