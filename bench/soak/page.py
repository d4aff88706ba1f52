"""What a soak found: slopes, quarters, levels, and the page and the plot of them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec

from bench import plots
from bench.markdown import number, table
from bench.soak.watch import Sample

Point = tuple[float, float]
T = TypeVar("T")

_UNDER_WAY = ("intake_log", "applied")
"""Tables that hold only what is under way."""
_KEPT = {
    "event_ledger": "interaction",
    "interaction_block": "interaction",
    "batch_end": "batch",
    "temporal.db": "batch",
}
"""What grows by its making, and by what."""


@dataclass(frozen=True)
class Interval:
    """What the generator saw; times in milliseconds, from when a request was to start."""

    at: float
    """Its end, in seconds since the Unix epoch."""
    answers_per_s: float
    p50: float
    p99: float
    p100: float


@dataclass
class Soak:
    machine: str
    minutes: float
    most_per_s: float
    """Drained in a closed loop before."""
    rate: float
    settle_s: float
    retention_h: float
    """Of Temporal's closed histories."""
    began: float = 0.0
    ended: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    """From before the load to well after it."""
    intervals: list[Interval] = field(default_factory=list)
    accepted: int = 0
    """Interactions of the load, each once."""
    again: int = 0
    probes: int = 0
    batches: int = 0
    drained: int = 0
    """The place in `samples` of the first after all was counted."""

    @property
    def before(self) -> Sample:
        return max((one for one in self.samples if one.at < self.began), key=lambda one: one.at)

    @property
    def under_load(self) -> list[Sample]:
        return [one for one in self.samples if self.began <= one.at <= self.ended]

    def p99_ratio(self) -> float:
        """The last quarter's by the second's, each the median of its intervals."""
        medians = [_median([one.p99 for one in quarter]) for quarter in _quarters(self.intervals)]
        return medians[3] / medians[1]

    def an_hour(self, of: Callable[[Sample], float]) -> float:
        """By how much it grows in an hour: least squares over the second half of the load."""
        samples = self.under_load
        return _slope([(one.at / 3600, of(one)) for one in samples[len(samples) // 2 :]])


def page(soak: Soak) -> str:
    head = f"""\
{soak.minutes:g} minutes in an open loop at {soak.rate:,.0f} interactions a second, one a request: 70 % of the
{soak.most_per_s:,.0f} that were counted in a second of a closed loop over 32 connections just before.
{soak.accepted:,} interactions were accepted, {soak.again:,} of them were sent again with the same id, and
{soak.probes:,} probes were sent beside them. Every counter of popularity is exactly what was accepted."""
    parts = ["# Soak", "`python -m bench.soak`", soak.machine, head]
    parts += ["## Memory", _memory(soak), "## Latency", _latency(soak), "## Disk", _disk(soak), _temporal(soak)]
    return "\n\n".join([*parts, "![Over time](soak.svg)"]) + "\n"


def _memory(soak: Soak) -> str:
    samples, rows = soak.under_load, []
    head = ["", "at the beginning", "at half time", "at the end", "MB an hour"]
    for name in samples[0].memory_mb:
        values = [samples[0], samples[len(samples) // 2], samples[-1]]
        slope = soak.an_hour(lambda one, name=name: one.memory_mb[name])  # type: ignore[misc]
        rows.append([name, *(f"{one.memory_mb[name]:,.0f}" for one in values), f"{slope:+,.1f}"])
    note = """\
MB resident; the slope is by least squares over the second half of the load. What PostgreSQL's processes share are its
buffers of 256 MB, each of which counts from when it is first used."""
    return f"{table(head, rows)}\n\n{note}"


def _latency(soak: Soak) -> str:
    rows = []
    samples = _quarters(soak.under_load)
    for number_of, (intervals, watched) in enumerate(zip(_quarters(soak.intervals), samples, strict=True), 1):
        visible = sorted(ms for one in watched for ms in one.visible_ms)
        values = [
            _median([one.answers_per_s for one in intervals]),
            _median([one.p50 for one in intervals]),
            _median([one.p99 for one in intervals]),
            max((one.p99 for one in intervals), default=float("nan")),
            max((one.p100 for one in intervals), default=float("nan")),
            _median(visible),
            visible[int(len(visible) * 0.99)] if visible else float("nan"),
            max((one.backlog for one in watched), default=float("nan")),
        ]
        rows.append([str(number_of), *map(number, values)])
    head = [
        "quarter", "answers/s", "accept p50 ms", "p99 ms", "worst p99 ms", "longest ms", "visible p50 ms", "p99 ms",
        "most backlog",
    ]  # fmt: skip
    note = f"""\
Medians of intervals of 10 s. The p99 of the last quarter by that of the second: **{soak.p99_ratio():.2f}**."""
    return f"{table(head, rows)}\n\n{note}"


def _disk(soak: Soak) -> str:
    load, drained, settled = soak.under_load, soak.samples[soak.drained], soak.samples[-1]
    rows = []
    for name in settled.disk_mb:
        values = [
            soak.before.disk_mb[name],
            max(one.disk_mb[name] for one in load),
            drained.disk_mb[name],
            settled.disk_mb[name],
            soak.an_hour(lambda one, name=name: one.disk_mb[name]),  # type: ignore[misc]
        ]
        rows.append([name, *map(number, values), _each(soak, name)])
    head = ["MB", "before", "most", "all counted", f"{soak.settle_s:.0f} s later", "MB an hour", "bytes for each"]
    return "\n\n".join([table(head, rows), *(_level(soak, name) for name in _UNDER_WAY)])


def _each(soak: Soak, name: str) -> str:
    """Of what is kept by its making."""
    if name not in _KEPT:
        return ""
    grown = (soak.samples[soak.drained].disk_mb[name] - soak.before.disk_mb[name]) * 1e6
    count = soak.batches if _KEPT[name] == "batch" else soak.accepted + soak.probes
    return f"{number(grown / count)} a {_KEPT[name]}"


def _level(soak: Soak, name: str) -> str:
    before, settled = soak.before, soak.samples[-1]
    is_back = settled.disk_mb[name] <= before.disk_mb[name]
    most_dead = max(one.dead_rows[name] for one in soak.under_load)
    return f"""\
{name}: {"back at" if is_back else "**above**"} its level before, {number(settled.disk_mb[name])} MB by
{number(before.disk_mb[name])}; dead rows {most_dead:,} at the most, {settled.dead_rows[name]:,} in the end. Nothing
but autovacuum cleaned up. A table gives the empty pages at its end back; an index keeps its own for the next rows."""


def _temporal(soak: Soak) -> str:
    grown = (soak.samples[soak.drained].disk_mb["temporal.db"] - soak.before.disk_mb["temporal.db"]) * 1e6
    a_day = grown / soak.minutes * 60 * soak.retention_h
    return f"""\
Temporal keeps the histories of closed workflows for {soak.retention_h:g} h, its namespace's retention. At this pace,
{soak.batches / soak.minutes / 60:.1f} batches a second, temporal.db takes {a_day / 1e9:.1f} GB before the first of
them go (extrapolated)."""


def write(out: Path, soak: Soak) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.md").write_text(page(soak))
    (out / "soak.json").write_text(msgspec.json.encode(soak).decode() + "\n")

    def minute(at: float) -> float:
        return (at - soak.began) / 60

    def over(groups: Sequence[str], of: Callable[[Sample, str], float]) -> dict[str, list[Point]]:
        return {name: [(minute(one.at), of(one, name)) for one in soak.samples] for name in groups}

    disk = list(soak.samples[0].disk_mb)
    small = [name for name in disk if name in _UNDER_WAY or name.startswith("product_")]
    panels: dict[str, dict[str, list[Point]]] = {
        "MB of memory": over(list(soak.samples[0].memory_mb), lambda one, name: one.memory_mb[name]),
        "ms": {
            "accept p50": [(minute(one.at), one.p50) for one in soak.intervals],
            "accept p99": [(minute(one.at), one.p99) for one in soak.intervals],
            "visible, median": [(minute(one.at), _median(one.visible_ms)) for one in soak.samples if one.visible_ms],
        },
        "MB on disk": over([name for name in disk if name not in small], lambda one, name: one.disk_mb[name]),
        "MB on disk, work under way": over(small, lambda one, name: one.disk_mb[name]),
        "interactions": {"backlog": [(minute(one.at), one.backlog) for one in soak.samples]},
    }
    plots.timeline(out / "soak", f"Soak at {soak.rate:,.0f} interactions a second", "minutes", panels)


def _slope(points: Sequence[Point]) -> float:
    if len({x for x, _ in points}) < 2:
        return float("nan")
    middle_x, middle_y = (statistics.fmean(column) for column in zip(*points, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


def _quarters(items: Sequence[T]) -> list[Sequence[T]]:
    bounds = [len(items) * quarter // 4 for quarter in range(5)]
    return [items[low:high] for low, high in pairwise(bounds)]


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")
