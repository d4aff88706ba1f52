"""Memory of Footfall's own processes while the loads run, and after them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bench.comparison.figures import Report, Section
from bench.peers.system import Running
from bench.processes import highest_resident_mb, resident_mb, unique_mb

_HIGHEST = "highest RSS under load, MB"


@contextmanager
def memory(system: Running, report: Report) -> Iterator[None]:
    """Of the loads that run inside."""
    with highest_resident_mb(system.pids) as highest:
        yield
    for part, pid in system.pids.items():
        report.note(Section.MEMORY, f"{system.name}: {part}: {_HIGHEST}", highest[part])
        report.note(Section.MEMORY, f"{system.name}: {part}: RSS after the loads, MB", resident_mb(pid))
        report.note(Section.MEMORY, f"{system.name}: {part}: USS after the loads, MB", unique_mb(pid))


def highest(report: Report, systems: Iterable[str], kind: str) -> list[float]:
    """Round by round, of all these systems' processes of a kind ("api", "worker") the one that took most."""
    starts = tuple(f"{system}: {kind}" for system in systems)
    found = [values for name, values in report.values.items() if name.startswith(starts) and name.endswith(_HIGHEST)]
    return [max(one) for one in zip(*found, strict=True)]
