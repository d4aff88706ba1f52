"""`footfall fan-outs`: the arguments; what is done with them is in runtime/fan_outs.py."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from intake.parked import Which
from runtime.commands import connected_settings, console, insist, leave, moment

app = typer.Typer(help="Fan-outs of batches that are parked: they wait for an operator.", no_args_is_help=True)

_WAYS = "batch ids, --fan-out, --since, --until, --reason, --account"

Batches = Annotated[list[UUID] | None, typer.Argument(metavar="[BATCH]...", help="Batch ids.", show_default=False)]
FanOut = Annotated[str | None, typer.Option(help="Only this fan-out: popularity, persist …")]
Since = Annotated[str | None, typer.Option(help="Parked since: 2026-03-01T12:00, or 2h, 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Parked before, likewise.")]
Reason = Annotated[str | None, typer.Option(help="Parked for a reason that contains this.")]
Account = Annotated[str | None, typer.Option(help="With interactions of this account.")]
Every = Annotated[bool, typer.Option("--all", help="All that is parked.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.command("list")
def list_fan_outs(
    batches: Batches = None,
    fan_out: FanOut = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = None,
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """What is parked, the oldest first."""
    from runtime.fan_outs import list_parked  # noqa: PLC0415

    which = _which(batches, fan_out, since, until, reason, account)
    asyncio.run(list_parked(connected_settings(), which, console, as_json=as_json))


@app.command()
def show(batch: Annotated[UUID, typer.Argument(help="Its id.")], as_json: AsJson = False) -> None:
    """All about one batch: its fan-outs, interactions, accounts, quarantine and workflow."""
    from runtime.fan_outs import show_batch  # noqa: PLC0415

    leave(asyncio.run(show_batch(connected_settings(), batch, console, as_json=as_json)))


@app.command()
def replay(
    batches: Batches = None,
    fan_out: FanOut = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = None,
    account: Account = None,
    every: Every = False,
    wait: Annotated[bool, typer.Option(help="Wait until all is applied or parked again.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run parked batches again, many of them as one. Ends with 1 where something is parked again, and lists it."""
    from runtime.fan_outs import replay_parked  # noqa: PLC0415

    which = _which(batches, fan_out, since, until, reason, account)
    insist(every or which != Which(), _WAYS)
    leave(asyncio.run(replay_parked(connected_settings(), which, console, wait=wait, as_json=as_json)))


@app.command()
def discard(
    because: Annotated[str, typer.Option(help="Why; kept, and said in receipts.")],
    batches: Batches = None,
    fan_out: FanOut = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = None,
    account: Account = None,
    every: Every = False,
) -> None:
    """Give parked fan-outs up for good: their batches go on without them. There is no way back."""
    from runtime.fan_outs import discard_parked  # noqa: PLC0415

    which = _which(batches, fan_out, since, until, reason, account)
    insist(every or which != Which(), _WAYS)
    leave(asyncio.run(discard_parked(connected_settings(), which, because, console)))


def _which(
    batches: list[UUID] | None,
    fan_out: str | None,
    since: str | None,
    until: str | None,
    reason: str | None,
    account: str | None,
) -> Which:
    now = datetime.now(UTC)
    return Which(batches or (), fan_out, moment(since, now), moment(until, now), reason, account)
