"""The first pass over a file: what is in it, before anything is sent."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runtime.importing.event_ids import Repeats
from runtime.importing.rows import BadRow, Row


@dataclass(frozen=True, slots=True)
class Survey:
    rows: int
    """Good ones."""
    bad: int
    first_us: int | None
    """The earliest time of any row; None where no row has a time."""
    last_us: int | None
    repeats: dict[int, int]
    """For EventIds."""


def survey_rows(rows: Iterable[Row | BadRow], report: Callable[[BadRow], None]) -> Survey:
    """Looks at all rows and hands each bad one to `report`."""
    good = bad = 0
    first_us: int | None = None
    last_us: int | None = None
    repeats = Repeats()
    for row in rows:
        if isinstance(row, BadRow):
            bad += 1
            report(row)
            continue
        good += 1
        repeats.see(row)
        at = row.occurred_at_us
        if at is not None:
            first_us = at if first_us is None or at < first_us else first_us
            last_us = at if last_us is None or at > last_us else last_us
    return Survey(good, bad, first_us, last_us, repeats.counts())
