"""Figures of a run, and the page that shows them."""

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Table:
    """Figures by name, one value a round."""

    values: dict[str, list[float]] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    digits: dict[str, int] = field(default_factory=dict)
    """Behind the point of what is below 100."""

    def add(self, name: str, value: float, target: str = "", *, tell: bool = True, digits: int = 2) -> None:
        self.values.setdefault(name, []).append(value)
        self.targets[name] = target
        self.digits[name] = digits
        if tell:
            print(f"  {name}: {value:,.{digits}f}", flush=True)

    def markdown(self) -> str:
        lines = ["| figure | median | min - max | target |", "| --- | --- | --- | --- |"]
        for name, values in self.values.items():
            median, low, high = (
                _number(one, self.digits[name]) for one in (statistics.median(values), min(values), max(values))
            )
            spread = f"{low} - {high}" if len(values) > 1 else ""
            lines.append(f"| {name} | {median} | {spread} | {self.targets[name]} |")
        return "\n".join(lines)


def _number(value: float, digits: int) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.{digits}f}"


def write_page(out: Path, name: str, title: str, machine: str, tables: dict[str, Table]) -> None:
    """`name`.md and `name`.json in the folder `out`, a section a table."""
    out.mkdir(parents=True, exist_ok=True)
    sections = [f"## {heading}\n\n{table.markdown()}\n" for heading, table in tables.items()]
    page = "\n".join([f"# {title}\n", f"`python -m bench.{name}`\n", f"{machine}\n", *sections])
    (out / f"{name}.md").write_text(page)
    fields = {
        one: {heading: getattr(table, one) for heading, table in tables.items()} for one in ("targets", "digits")
    }
    figures = {heading: table.values for heading, table in tables.items()}
    text = json.dumps({"machine": machine, "figures": figures, **fields}, indent=1)
    (out / f"{name}.json").write_text(text + "\n")


def kept_tables(out: Path, name: str) -> dict[str, Table]:
    """What stands on a page already, for one that is measured in parts."""
    path = out / f"{name}.json"
    if not path.exists():
        return {}
    page = json.loads(path.read_text())
    return {
        heading: Table(values, page["targets"][heading], page["digits"][heading])
        for heading, values in page["figures"].items()
    }
