"""Temporal's dev server: its database in a file, its UI beside it, run as a child of ours."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from domain.errors import FootfallError
from runtime.children import Command, log_tail, spawn, stop

_OPTIONS = (
    # One worker, one queue: more partitions would only forward tasks to each other.
    ("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
    ("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
    # The dev server has one shard, whose queues may be read 20 times a second by default: under load every step of a
    # workflow then waits for the next 50 ms.
    ("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
    ("--dynamic-config-value", "history.transferProcessorMaxPollHostRPS=4000"),
    ("--dynamic-config-value", "history.timerProcessorMaxPollRPS=2000"),
    ("--dynamic-config-value", "history.visibilityProcessorMaxPollRPS=100"),
    # It would keep closed workflows in memory for an hour, measured at 37 kB each; nothing asks for them.
    ("--dynamic-config-value", "history.hostLevelCacheMaxSize=1000"),
    # What is accepted is in PostgreSQL; should the newest histories be lost with the machine, the sweeper starts
    # their batches again. So SQLite need not wait for the disk.
    ("--sqlite-pragma", "journal_mode=wal"),
    ("--sqlite-pragma", "synchronous=off"),
)
_START_S = 60.0
_STOP_S = 15.0


class TemporalServer:
    """One dev server on one database file."""

    def __init__(
        self, binary: Path, data_dir: Path, log_dir: Path, *, port: int, ui_port: int, retention_h: int = 24
    ) -> None:
        self._binary = binary
        self._retention_h = retention_h
        self._database = data_dir.resolve() / "temporal.db"
        self._log_file = log_dir.resolve() / "temporal.log"
        self._port = port
        self._ui_port = ui_port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self._ui_port}"

    @property
    def command(self) -> Command:
        options = {
            "--db-filename": self._database,
            "--ip": "127.0.0.1",
            "--port": self._port,
            "--ui-port": self._ui_port,
            "--log-level": "warn",
        }
        arguments = [str(part) for option in (*options.items(), *_OPTIONS) for part in option]
        return Command("temporal", [str(self._binary), "server", "start-dev", *arguments], os.environ, self._log_file)

    def start(self) -> None:
        """Launches the server and waits until it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        self._database.parent.mkdir(parents=True, exist_ok=True)
        self.process = spawn(self.command)

    def wait_until_ready(self) -> None:
        """Returns when the UI, which the server starts last, answers.

        Raises:
            FootfallError: it does not start; with the end of its log.

        """
        assert self.process is not None  # noqa: S101
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                self._set_retention()
                return
            time.sleep(0.05)
        self.stop()
        raise FootfallError(f"Temporal's server did not start:\n{log_tail(self._log_file)}")

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, self.command, _STOP_S)
            self.process = None

    def _set_retention(self) -> None:
        """A database's namespace keeps what it was made with, so it is told each time.

        Raises:
            FootfallError: the server refuses.

        """
        done = subprocess.run(  # noqa: S603  (the server's own binary)
            [
                str(self._binary), "operator", "namespace", "update", "--namespace", "default",
                "--retention", f"{self._retention_h}h", "--address", self.address,
            ],
            capture_output=True, text=True, check=False, timeout=_START_S,
        )  # fmt: skip
        if done.returncode != 0:
            raise FootfallError(f"Temporal's retention could not be set: {done.stderr.strip()}")

    def _answers(self) -> bool:
        """Asks through the UI's API, so that both the UI and the server behind it must be there."""
        try:
            with urllib.request.urlopen(f"{self.ui_url}/api/v1/namespaces/default", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == HTTPStatus.OK)
        except (urllib.error.URLError, OSError):
            return False
