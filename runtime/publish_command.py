"""`footfall publish`: the arguments; what is done with them is in runtime/publish.py."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from domain.errors import InvalidInputError
from domain.week import to_us
from runtime.commands import connected_settings, console, leave_after, moment


def publish(
    from_: Annotated[str, typer.Option("--from", help="Occurred since: 2026-03-01T12:00, or 2h, 7d ago.")],
    to: Annotated[str | None, typer.Option("--to", help="Occurred before, likewise. [default: now]")] = None,
    after: Annotated[str | None, typer.Option(help="Go on where a run was cut off: what that one said.")] = None,
    events_per_s: Annotated[int, typer.Option(min=1, help="The pace.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Publish what was recorded before there was a topic, from the blocks. Ends with 1 where one can't be read."""
    from runtime.publish import Span, publish_recorded  # noqa: PLC0415

    now = datetime.now(UTC)
    since, until = moment(from_, now), moment(to, now) or now
    assert since is not None  # noqa: S101  (a text is given)
    if since >= until:
        raise InvalidInputError("--from: not before --to")
    span = Span(to_us(since), to_us(until))
    leave_after(
        publish_recorded(connected_settings(), span, after, console, events_a_second=events_per_s, as_json=as_json)
    )
