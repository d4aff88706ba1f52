"""Child processes that end with us, in the order that we choose."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a child, and which signals end it."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    user: str | None = None
    """The system user to run as; None for our own."""
    stop_signal: signal.Signals = signal.SIGTERM
    kill_signal: signal.Signals = signal.SIGKILL
    """For when it does not stop in time, and on Linux for when we are killed ourselves."""


def spawn(command: Command) -> "subprocess.Popen[bytes]":
    """Starts a child in a session of its own, so that a terminal's Ctrl-C reaches only us.

    On Linux the child gets its kill signal when the thread that called this ends, so call it from one that lives
    as long as the process.
    """
    command.log_file.parent.mkdir(parents=True, exist_ok=True)
    with command.log_file.open("ab") as log:
        return subprocess.Popen(  # noqa: S603  (commands are ours)
            list(command.arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(command.environment),
            user=command.user,
            group=command.user,
            extra_groups=[] if command.user else None,
            cwd="/" if command.user else None,
            start_new_session=True,
            preexec_fn=_death_request(command.kill_signal),  # noqa: PLW1509  (one prctl, no Python locks)
        )


def stop(process: "subprocess.Popen[bytes]", command: Command, patience_s: float) -> None:
    """Ends a child, politely first."""
    for sign in (command.stop_signal, command.kill_signal, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(sign)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
        return
    process.wait()


def log_tail(log_file: Path, lines: int = 15) -> str:
    """The last lines of a child's log, for error messages."""
    if not log_file.exists():
        return "(no log)"
    return "\n".join(log_file.read_text(errors="replace").splitlines()[-lines:])


def die_with_parent(sign: signal.Signals, parent: int | None = None) -> None:
    """For a process that another one of ours started, on Linux: it gets a signal when the thread that did so ends.

    `parent` is that one's id, where multiprocessing does not know it.
    """
    request, process = _death_request(sign), multiprocessing.parent_process()
    if request is None:
        return
    request()
    expected = process.pid if process is not None else parent
    if expected is not None and os.getppid() != expected:  # it ended before the kernel was asked
        os.kill(os.getpid(), sign)


def _death_request(sign: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(sign))

    return ask_kernel
