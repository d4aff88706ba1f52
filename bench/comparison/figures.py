"""What a comparison found: one value a round under each name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

from bench.latency import PERCENTILES, Latency


@dataclass(frozen=True)
class Load:
    """A closed loop."""

    events: int
    """A request."""
    connections: int

    @property
    def name(self) -> str:
        connections = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        return f"{self.events} a request, {connections}"


ONE_CLIENT, ONE_A_REQUEST, HUNDRED_A_REQUEST = Load(1, 1), Load(1, 32), Load(100, 32)
LOADS = (ONE_CLIENT, ONE_A_REQUEST, HUNDRED_A_REQUEST)


@dataclass(frozen=True)
class Plan:
    """How long and how much."""

    rounds: int
    seconds: float
    """Of a load."""
    warm_s: float
    probes: int
    """Of an idle system, one by one."""
    disk_weeks: int
    """At most those of a partition."""
    disk_events: int
    """Of all these weeks."""
    history_accounts: int
    cassandra_rows: int


class Section(Enum):
    """Of the page, by its heading."""

    LATENCY = "Latency"
    READS = "Reads"
    MEMORY = "Memory"
    DISK = "Disk"
    LIMITS = "The limits of the parts"


@dataclass
class Figures:
    """Of one system under one load."""

    accepted_per_s: list[float] = field(default_factory=list)
    drained_per_s: list[float] = field(default_factory=list)
    everywhere_per_s: list[float] = field(default_factory=list)
    """Until it is in every read model, where there are others than the counts."""
    accept: list[Latency] = field(default_factory=list)


@dataclass
class Report:
    loads: dict[Load, dict[str, Figures]] = field(default_factory=lambda: {one: {} for one in LOADS})
    values: dict[str, list[float]] = field(default_factory=dict)
    latencies: dict[str, list[Latency]] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    """Where a name of the two above belongs."""
    exact: list[str] = field(default_factory=list)
    """A line for each time that a system's counts were held against what it had accepted, and were the same."""

    def note(self, section: Section, name: str, value: float) -> None:
        self.sections[name] = section
        self.values.setdefault(name, []).append(value)
        print(f"  {name}: {value:,.2f}", flush=True)

    def took(self, section: Section, name: str, latency: Latency) -> None:
        self.sections[name] = section
        self.latencies.setdefault(name, []).append(latency)
        shown = ", ".join(f"p{percent:g} {latency.percentile_ms(percent):.2f}" for percent in PERCENTILES)
        print(f"  {name}: {shown} ms", flush=True)

    def drained(self, system: str, one: Load) -> list[float]:
        """A second; empty where that was not measured."""
        found = self.loads[one].get(system)
        return [] if found is None else found.drained_per_s

    def percentiles(self, name: str, percent: float) -> list[float]:
        """Milliseconds; empty where that was not measured."""
        return [one.percentile_ms(percent) for one in self.latencies.get(name, ())]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round; empty where one of the two was not measured."""
    return [a / b for a, b in zip(above, below, strict=True)] if above and below else []


def best(*of: Sequence[float]) -> list[float]:
    """The one with the highest median."""
    measured = [list(one) for one in of if one]
    return max(measured, key=median) if measured else []
