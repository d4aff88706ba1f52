"""Supervision, with small programs for children."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.children import Command
from runtime.supervisor import GivenUpError, Process, Supervisor


def _child(folder: Path, name: str, program: str) -> Process:
    return Process(Command(name, [sys.executable, "-c", program], os.environ, folder / f"{name}.log"))


def _look_until(supervisor: Supervisor, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        supervisor.look()
        time.sleep(0.01)


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def restarts() -> list[int]:
    return []


@pytest.fixture
def supervisor(shown: list[str], restarts: list[int]) -> Supervisor:
    return Supervisor(on_restart=lambda: restarts.append(1), show=shown.append)


def test_a_child_that_dies_is_started_again(
    supervisor: Supervisor, shown: list[str], restarts: list[int], tmp_path: Path
) -> None:
    child = _child(tmp_path, "lasting", "import time; time.sleep(600)")
    supervisor.launch(child)
    assert child.process is not None
    first = child.process
    first.send_signal(signal.SIGKILL)
    _look_until(supervisor, lambda: child.process is not first)
    assert shown == ["lasting ended with code -9; starting it again"]
    assert restarts == [1]
    supervisor.stop_all()
    assert first.poll() is not None


def test_a_child_that_keeps_dying_is_given_up_on_with_its_last_words(
    supervisor: Supervisor, shown: list[str], tmp_path: Path
) -> None:
    supervisor.launch(_child(tmp_path, "hopeless", "raise SystemExit('my disk is full')"))
    with pytest.raises(GivenUpError, match="my disk is full"):
        _look_until(supervisor, lambda: False)
    assert len(shown) == 5
    supervisor.stop_all()


def test_children_stop_in_the_reverse_order_of_their_start(supervisor: Supervisor, tmp_path: Path) -> None:
    program = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        f"    open({str(tmp_path / 'order')!r}, 'a').write(sys.argv[1] + ' ')\n"
        "    raise SystemExit\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    for name in ("one", "two", "three"):
        child = _child(tmp_path, name, program)
        child.command = Command(name, [*child.command.arguments, name], os.environ, tmp_path / f"{name}.log")
        supervisor.launch(child)
    logs = [tmp_path / f"{name}.log" for name in ("one", "two", "three")]
    _look_until(supervisor, lambda: all("ready" in log.read_text() for log in logs))
    supervisor.stop_all()
    assert (tmp_path / "order").read_text() == "three two one "


def test_warnings_of_children_are_shown_once(supervisor: Supervisor, shown: list[str], tmp_path: Path) -> None:
    program = "import time; print('1 WARNING it smells'); print('2 INFO fine', flush=True); time.sleep(600)"
    supervisor.launch(_child(tmp_path, "nose", program))
    _look_until(supervisor, lambda: bool(shown))
    supervisor.look()
    assert shown == ["nose: 1 WARNING it smells"]
    supervisor.stop_all()
