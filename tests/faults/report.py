"""The table of a run of the faults, as docs/reliability.md has it."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.check import Verdict
from tests.faults.schedule import Fault, names

_HEADER = (
    "| fault | times | seeds with it | interactions sent in these | acknowledged | lost | doubled | miscounted |"
)


@dataclass(slots=True)
class Run:
    """One seed and what came of it."""

    seed: int
    faults: list[Fault]
    sent: int = 0
    acknowledged: int = 0
    answers: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    """After the load; after everything was sent again; after it was sent once more."""
    seconds: float = 0.0
    stuck: str = ""
    """What did not come to an end, or was accepted though it was there."""

    @property
    def wrong(self) -> list[str]:
        return [*(one for verdict in self.verdicts for one in verdict.faults), *([self.stuck] if self.stuck else [])]

    def count(self, what: str) -> int:
        return sum(len(getattr(verdict, what)) for verdict in self.verdicts)


def table(runs: Sequence[Run], more: Collection[str] = ()) -> str:
    """A row a kind of fault, and one for all; a seed with several kinds is in several rows."""
    times = Counter(fault.name for run in runs for fault in run.faults)
    lines = [_HEADER, "|" + " --- |" * _HEADER.count(" | ") + " --- |"]
    for name in names(more):
        hit = [run for run in runs if any(fault.name == name for fault in run.faults)]
        lines.append(_row(name, times[name], hit))
    lines.append(_row("all", sum(times.values()), runs))
    return "\n".join(lines)


def write_report(out: Path, runs: Sequence[Run], more: Collection[str]) -> None:
    command = f"python -m tests.faults --seeds {runs[0].seed}-{runs[-1].seed}{options(more)}"
    minutes = sum(run.seconds for run in runs) / 60
    stuck = sum(bool(run.stuck) for run in runs)
    told = f"{len(runs)} seeds in {minutes:.0f} minutes; not worked off, or accepted twice: {stuck}."
    out.write_text(f"`{command}`: {told}\n\n{table(runs, more)}\n")


def options(more: Collection[str]) -> str:
    """What a command needs to have these servers."""
    return "".join(f" --{server}" for server in more)


def _row(name: str, times: int, runs: Sequence[Run]) -> str:
    sums = [sum(run.sent for run in runs), sum(run.acknowledged for run in runs)]
    wrong = [sum(run.count(what) for run in runs) for what in ("lost", "doubled", "miscounted")]
    return f"| {name} | {times} | {len(runs)} | " + " | ".join(f"{one:,}" for one in (*sums, *wrong)) + " |"
