"""Memory and processor time of processes under measurement."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

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


def resident_mb(pid: int) -> float:
    """RSS, in millions of bytes."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def unique_mb(pid: int) -> float:
    """USS, what would be free without this process, in millions of bytes."""
    return float(psutil.Process(pid).memory_full_info().uss) / 1e6


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
