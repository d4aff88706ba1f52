"""Memory and processor time of processes under measurement."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

_LOOK_EVERY_S = 0.5


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time that they used so far, together."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))


def family_cpu_seconds(pid: int) -> float:
    """Of a process and all below it; what has ended is counted by whoever waited for it."""
    parent = psutil.Process(pid)
    total = 0.0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its parent's `children` has it now
        total += times.user + times.system + times.children_user + times.children_system
    return total


def core_seconds(pid: int) -> tuple[float, float]:
    """For how long the threads of a process ran so far, and for how long they could have but had no core.

    Of threads that live; from /proc/PID/task/TID/schedstat (Linux, Documentation/scheduler/sched-stats).
    """
    ran = waited = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        ran_ns, waited_ns, _ = (thread / "schedstat").read_text().split()
        ran, waited = ran + int(ran_ns), waited + int(waited_ns)
    return ran / 1e9, waited / 1e9


def resident_mb(pid: int) -> float:
    """RSS, in millions of bytes; where a process has children that do its work, that of the largest."""
    return float(max(one.memory_info().rss for one in _workers(pid))) / 1e6


def unique_mb(pid: int) -> float:
    """USS, what would be free without this process, in millions of bytes; of several as above."""
    return float(max(one.memory_full_info().uss for one in _workers(pid))) / 1e6


def _workers(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children()]


@contextmanager
def highest_resident_mb(pids: Mapping[str, int]) -> Iterator[dict[str, float]]:
    """The highest RSS seen of each process while the block runs, looked at twice a second."""
    highest = dict.fromkeys(pids, 0.0)
    done = threading.Event()

    def look() -> None:
        while True:
            for name, pid in pids.items():
                highest[name] = max(highest[name], resident_mb(pid))
            if done.wait(_LOOK_EVERY_S):
                return

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield highest
    finally:
        done.set()
        watch.join()
