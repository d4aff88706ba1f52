"""An axis of growth: what things cost at several sizes, how steeply that grows, and how it is shown."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench import plots
from bench.markdown import number, table

Point = tuple[float, float]
"""A size, and what was measured at it."""

Kind = Literal["each", "whole", "figure"]
"""`each`: what one more costs where so many are there. `whole`: what all of them cost together. `figure`: no cost."""

SUPERLINEAR = 1.1
DEFINITION = f"""\
A slope is that of the logarithm of what was measured over the logarithm of the size: by least squares over all
sizes above 0, and between the last two. 0 is flat, 1 is in proportion. What **each** costs is flat where
nothing grows, and the total of n is then n to the power of 1 + slope; what the **whole** costs is that total. A
cost is called superlinear where the total's exponent is above {SUPERLINEAR}. An index that is searched in log n
steps stays below: from 10³ to 10⁷ that is a slope of 0.09. Figures of the kind "figure" are rates, tails and
the like, and are not judged."""


@dataclass
class Measure:
    unit: str
    kind: Kind
    points: list[Point] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Whether the total grows faster than the size, over all sizes or only at last."""
        if self.kind == "figure":
            return ""
        base = 1 if self.kind == "each" else 0
        if base + slope(self.points) > SUPERLINEAR:
            return "**superlinear**"
        return "**superlinear at last**" if base + slope(self.points[-2:]) > SUPERLINEAR else "no"


@dataclass
class Axis:
    name: str
    """Of files and of --only."""
    title: str
    size: str
    """What is counted by the sizes."""
    how: str
    """How it was filled and measured."""
    measures: dict[str, Measure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, size: float, name: str, value: float, unit: str, kind: Kind) -> None:
        self.measures.setdefault(name, Measure(unit, kind)).points.append((size, value))
        print(f"  {size:,.0f} {self.size}: {name}: {number(value)} {unit}", flush=True)

    def note(self, text: str) -> None:
        self.notes.append(" ".join(text.split()))
        print(f"  {self.notes[-1]}", flush=True)

    def markdown(self) -> str:
        """Its part of the page: a line a measure, a column a size."""
        sizes = sorted({size for one in self.measures.values() for size, _ in one.points})
        head = ["", *(f"{size:,.0f}" for size in sizes), "kind", "slope", "of the last two", "superlinear?"]
        rows = []
        for name, one in self.measures.items():
            found = dict(one.points)
            values = [number(found[size]) if size in found else "" for size in sizes]
            slopes = [_text(slope(points)) for points in (one.points, one.points[-2:])]
            rows.append([f"{name}, {one.unit}", *values, one.kind, *slopes, one.verdict])
        parts = [f"## {self.title}", self.how, table(head, rows)]
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join([*parts, f"![{self.title}](growth-{self.name}.svg)"])

    def plot(self, out: Path) -> None:
        costs = {
            f"{name}, {one.unit}": [point for point in one.points if point[0] > 0]
            for name, one in self.measures.items()
            if one.kind != "figure"
        }
        plots.lines(out / f"growth-{self.name}", self.title, self.size, "cost, in the unit of each line", costs)

    def figures(self) -> dict[str, Any]:
        return {
            name: {
                **asdict(one),
                "slope": _or_none(slope(one.points)),
                "last_slope": _or_none(slope(one.points[-2:])),
            }
            for name, one in self.measures.items()
        }


def slope(points: Sequence[Point]) -> float:
    """Of the logarithms, by least squares; nan for less than two sizes."""
    logs = [(math.log(size), math.log(value)) for size, value in points if size > 0 and value > 0]
    if len({x for x, _ in logs}) < 2:
        return float("nan")
    middle_x, middle_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in logs)
    return float(sum((x - middle_x) * (y - middle_y) for x, y in logs) / spread)


def _text(found: float) -> str:
    """Nothing where there is no slope."""
    return "" if math.isnan(found) else f"{found:.2f}"


def _or_none(found: float) -> float | None:
    """JSON knows no nan."""
    return None if math.isnan(found) else found
