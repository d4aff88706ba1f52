"""What a line of a file becomes: a row to send, or a bad row with the reason."""

from typing import Any

import msgspec


class Row(msgspec.Struct, frozen=True, gc=False):
    """One interaction, item or user of a file, as the file has it."""

    line: int
    """Counted from 1, header and blank lines included."""
    source: bytes
    """The line without its ending: what the event id is derived from."""
    fields: dict[str, Any]
    """As the route takes it; of an interaction without event_id and occurred_at."""
    occurred_at_us: int | None
    """Microseconds since the Unix epoch, before any shift; None where the row has no time."""
    event_id: str | None
    """The file's own id; None where it has none."""


class BadRow(msgspec.Struct, frozen=True, gc=False):
    line: int
    reason: str


class BadRowError(Exception):
    """A line that is no row of its format; the message is the reason."""
