"""Keeps children running: one that dies is started again, one that keeps dying is given up on."""

import logging
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from domain.errors import FootfallError
from runtime.children import Command, log_tail, spawn, stop

_log = logging.getLogger(__name__)

_MOST_DEATHS = 5
_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.2
_STOP_S = 30.0
# Of log lines in either format, that whoever looks at `footfall up` should see.
_MARKS = (" WARNING ", " ERROR ", '"level":"WARNING"', '"level":"ERROR"')


class Server(Protocol):
    """A child that knows how to start itself."""

    process: "subprocess.Popen[bytes] | None"

    @property
    def command(self) -> Command: ...
    def launch(self) -> None: ...
    def stop(self) -> None: ...


class Process:
    """A child that is nothing but a command."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        self.process = spawn(self.command)

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, self.command, _STOP_S)
            self.process = None


@dataclass(slots=True)
class _Watched:
    server: Server
    log_position: int
    deaths: deque[float] = field(default_factory=deque)


class GivenUpError(FootfallError):
    """A child dies again and again; the message holds the end of its log."""


class Supervisor:
    """Watches children from the thread that started them, until a signal or a hopeless child."""

    def __init__(self, *, on_restart: Callable[[], None], show: Callable[[str], None]) -> None:
        self._watched: list[_Watched] = []
        self._on_restart = on_restart
        self._show = show
        self._stopping = False

    def launch(self, server: Server) -> None:
        """Starts a child; it is stopped after those that were launched later."""
        log_file = server.command.log_file
        self._watched.append(_Watched(server, log_file.stat().st_size if log_file.exists() else 0))
        server.launch()

    def handle_signals(self) -> None:
        """From now on SIGINT and SIGTERM end `watch`, and a second one kills everything at once."""
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, self._on_signal)

    @property
    def stopping(self) -> bool:
        return self._stopping

    def watch(self) -> None:
        """Returns when a signal asked to stop.

        Raises:
            GivenUpError: a child died too often.

        """
        while not self._stopping:
            self.look()
            time.sleep(_LOOK_EVERY_S)

    def look(self) -> None:
        """Starts again what died, and shows warnings from the children's logs."""
        for watched in self._watched:
            self._show_warnings(watched)
            process = watched.server.process
            if process is not None and process.poll() is not None and not self._stopping:
                self._start_again(watched, process.returncode)

    def stop_all(self) -> None:
        """Ends the children, the last one launched first."""
        while self._watched:
            self._watched.pop().server.stop()

    def _start_again(self, watched: _Watched, code: int) -> None:
        command, now = watched.server.command, time.monotonic()
        watched.deaths.append(now)
        while watched.deaths[0] < now - _WITHIN_S:
            watched.deaths.popleft()
        if len(watched.deaths) > _MOST_DEATHS:
            raise GivenUpError(
                f"{command.name} died {len(watched.deaths)} times within {_WITHIN_S:.0f} s, giving up. "
                f"The end of {command.log_file}:\n{log_tail(command.log_file)}"
            )
        self._show(f"{command.name} ended with code {code}; starting it again")
        watched.server.launch()
        self._on_restart()

    def _show_warnings(self, watched: _Watched) -> None:
        command = watched.server.command
        if not command.log_file.exists() or command.log_file.stat().st_size <= watched.log_position:
            return
        with command.log_file.open("rb") as log:
            log.seek(watched.log_position)
            new = log.read()
        whole_lines = new[: new.rfind(b"\n") + 1]
        watched.log_position += len(whole_lines)
        for line in whole_lines.decode(errors="replace").splitlines():
            if any(mark in line for mark in _MARKS):
                self._show(f"{command.name}: {line}")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            for watched in self._watched:
                if watched.server.process is not None:
                    watched.server.process.send_signal(watched.server.command.kill_signal)
        self._stopping = True
