"""Moving a file's times: to the present, and into a shorter span. All in whole microseconds."""

import re

import msgspec

from domain.errors import InvalidInputError
from domain.week import WEEKS_KEPT, from_us

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_HOUR_US = 3_600_000_000

MOST_BACK_US = WEEKS_KEPT * 7 * 24 * _HOUR_US
MOST_AHEAD_US = 5 * 60 * 1_000_000
MARGIN_US = _HOUR_US
"""How far inside the server's limit a moved time must be, so that a long import still gets there in time."""


class TimeMapping(msgspec.Struct, frozen=True):
    """From the times of a file to the times that are sent. All in microseconds since the Unix epoch."""

    anchor_us: int
    """When the file was first imported: where its last row is moved to, and the time of rows that have none."""
    first_us: int
    last_us: int
    shift: bool
    span_us: int | None = None
    """Longest time from the first to the last row; a file that is shorter keeps its pace. Implies a shift."""

    def moved(self, moment_us: int | None) -> int:
        if moment_us is None:
            return self.anchor_us
        if not self.shift:
            return moment_us
        before_last, length = self.last_us - moment_us, self.last_us - self.first_us
        if self.span_us is not None and length > self.span_us:
            before_last = before_last * self.span_us // length
        return self.anchor_us - before_last

    def check(self, now_us: int, *, reused: bool) -> None:
        """Raises InvalidInputError where the server would refuse the first or the last row for its time."""
        first_us, last_us = self.moved(self.first_us), self.moved(self.last_us)
        # Times as they are may fill the server's 24 weeks to the brim; what falls out of them is only reported.
        oldest_us = now_us - MOST_BACK_US + (MARGIN_US if self.shift else 0)
        if oldest_us <= first_us and last_us <= now_us + MOST_AHEAD_US:
            return
        raise InvalidInputError(
            f"The rows' times go from {_shown(first_us)} to {_shown(last_us)}; the server takes the last "
            f"{WEEKS_KEPT} weeks only. {self._advice(reused=reused)}"
        )

    def _advice(self, *, reused: bool) -> str:
        if reused:
            return (
                "They are those of this file's first import. --as-new with --span 20w sends the rows again, as new "
                "events that end now."
            )
        squeeze = "--span 20w moves the last row to now and squeezes all into 20 weeks"
        if self.span_us is not None:
            return f"{squeeze}; the longest that fits is --span {WEEKS_KEPT - 1}w."
        if self.shift or self.last_us - self.first_us > MOST_BACK_US - MARGIN_US:
            return f"{squeeze}."
        return f"--shift-to-now moves the last row to now; {squeeze}."


def parse_span(text: str) -> int:
    """Microseconds of a length of time such as 90s, 30m, 12h, 7d or 20w.

    Raises:
        InvalidInputError: it is none.

    """
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", text.strip())
    if found is None or not int(found[1]):
        raise InvalidInputError(f"{text!r} is no length of time; write it like 90s, 30m, 12h, 7d or 20w")
    return int(found[1]) * _UNITS_S[found[2]] * 1_000_000


def _shown(moment_us: int) -> str:
    return from_us(moment_us).strftime("%Y-%m-%d")
