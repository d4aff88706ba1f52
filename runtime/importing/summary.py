"""What an import says: bad rows as they come, the figures at the end."""

import sys
from dataclasses import asdict, dataclass

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runtime.importing.rows import BadRow
from runtime.importing.sending import Batch
from runtime.posting import INTERACTIONS, Outcome

_SHOWN = 20


@dataclass(slots=True)
class Summary:
    """The figures of one run."""

    kind: str = INTERACTIONS.name
    """What the rows are: interactions, items or users."""
    rows: int = 0
    """Good rows of the file."""
    resumed: int = 0
    """Of these, how many an interrupted run before this one had confirmed."""
    sent: int = 0
    accepted: int = 0
    """Of items and users: stored, whether they were known or not."""
    duplicates: int = 0
    refused: int = 0
    """By the server."""
    bad: int = 0
    """Lines that are no rows."""
    seconds: float = 0.0
    rows_per_s: float = 0.0

    def add(self, batch: Batch, outcome: Outcome) -> None:
        self.sent += len(batch.rows)
        self.accepted += outcome.accepted
        self.duplicates += outcome.duplicates
        self.refused += len(batch.rows) - outcome.accepted - outcome.duplicates

    def took(self, seconds: float) -> None:
        self.seconds = round(seconds, 3)
        self.rows_per_s = round(self.sent / seconds, 1) if seconds else 0.0

    def json(self) -> str:
        return msgspec.json.encode(asdict(self)).decode()

    def text(self) -> str:
        text = f"{self.rows} {self.kind}: {self.sent} sent in {self.seconds:.1f} s ({self.rows_per_s:.0f} rows/s), "
        if self.kind == INTERACTIONS.name:
            text += f"{self.accepted} accepted, {self.duplicates} known already"
        else:
            text += f"{self.accepted} stored"
        if self.resumed:
            text += f", {self.resumed} confirmed by the run before"
        if self.refused:
            text += f", {self.refused} refused by the server"
        if self.bad:
            text += f"; {self.bad} bad rows not sent"
        return text


class BadRowReport:
    """The first bad rows on stderr, with line number and reason; the others only counted."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._reported = 0

    def unreadable(self, row: BadRow) -> None:
        self._report(row.line, row.reason)

    def refused(self, batch: Batch, outcome: Outcome) -> None:
        for index, reason in sorted(outcome.refused.items()):
            if index < len(batch.rows):
                self._report(batch.rows[index].line, f"refused by the server: {reason}")

    def _report(self, line: int, reason: str) -> None:
        self._reported += 1
        if self._reported <= _SHOWN:
            self._say(f"line {line}: {reason}")
        elif self._reported == _SHOWN + 1:
            self._say("more bad rows are only counted")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_summary(summary: Summary, *, as_json: bool) -> None:
    sys.stdout.write((summary.json() if as_json else summary.text()) + "\n")


def progress_of(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
