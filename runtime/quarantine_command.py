"""`footfall quarantine`: interactions that a fan-out can't apply, one by one."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from domain.readable import readable
from intake.quarantine import Choice, Quarantine, Quarantined
from runtime.commands import connected_settings, console, errors, insist, leave
from runtime.settings import Settings

app = typer.Typer(
    help="Interactions that a fan-out can't apply; the others of their batches are done.", no_args_is_help=True
)

_WAYS = "event ids, --fan-out, --reason, --account"

Events = Annotated[list[UUID] | None, typer.Argument(metavar="[EVENT]...", help="Event ids.", show_default=False)]
FanOut = Annotated[str | None, typer.Option(help="Only this fan-out: popularity, persist …")]
Reason = Annotated[str | None, typer.Option(help="With a reason that contains this.")]
Account = Annotated[str | None, typer.Option(help="Of this account.")]
Every = Annotated[bool, typer.Option("--all", help="All that is in quarantine.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.command("list")
def list_quarantined(
    events: Events = None,
    fan_out: FanOut = None,
    reason: Reason = None,
    account: Account = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at the most.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """What is in quarantine, the oldest first."""
    found = asyncio.run(_find(connected_settings(), Choice(events or (), fan_out, reason, account), limit))
    if as_json:
        _print_json(found)
    elif not found:
        console.print("nothing of the kind is in quarantine")
    else:
        console.print(_table(found))


@app.command()
def show(event: Annotated[UUID, typer.Argument(help="Its id.")]) -> None:
    """One interaction in full, with every fan-out that can't apply it, and why; as JSON."""
    found = asyncio.run(_find(connected_settings(), Choice([event]), None))
    if not found:
        errors.print(f"{event} is not in quarantine", style="red", highlight=False)
        raise typer.Exit(1)
    _print_json(found)


@app.command()
def retry(
    events: Events = None,
    fan_out: FanOut = None,
    reason: Reason = None,
    account: Account = None,
    every: Every = False,
) -> None:
    """Have the fan-out try them again; those that it still can't apply come back."""
    choice = Choice(events or (), fan_out, reason, account)
    insist(every or choice != Choice(), _WAYS)
    leave(asyncio.run(_retry(connected_settings(), choice)))


@app.command()
def drop(
    because: Annotated[str, typer.Option(help="Why; kept, and said in receipts.")],
    events: Events = None,
    fan_out: FanOut = None,
    reason: Reason = None,
    account: Account = None,
    every: Every = False,
) -> None:
    """Give them up for the fan-out that can't apply them. There is no way back."""
    choice = Choice(events or (), fan_out, reason, account)
    insist(every or choice != Choice(), _WAYS)
    dropped = asyncio.run(_drop(connected_settings(), choice, because))
    console.print(f"{dropped:,} given up", highlight=False)


async def _find(settings: Settings, choice: Choice, limit: int | None) -> list[Quarantined]:
    from runtime.connections import open_pool  # noqa: PLC0415

    async with open_pool(settings, "footfall quarantine", 1) as pool:
        return await Quarantine(pool).find(choice, limit)


async def _drop(settings: Settings, choice: Choice, because: str) -> int:
    from runtime.connections import open_pool  # noqa: PLC0415

    async with open_pool(settings, "footfall quarantine", 1) as pool:
        return await Quarantine(pool).drop(choice, because)


async def _retry(settings: Settings, choice: Choice) -> int:
    """The exit code: 1 where some are parked or in quarantine again."""
    from intake.carrier import Carrier  # noqa: PLC0415
    from intake.parked import ParkedFanOuts  # noqa: PLC0415
    from runtime.connections import connected_client, open_pool  # noqa: PLC0415
    from runtime.fan_outs import outcome, parked_table, progress_bars  # noqa: PLC0415
    from runtime.fan_outs_wanted import ALL_FAN_OUTS  # noqa: PLC0415

    async with open_pool(settings, "footfall quarantine", 2) as pool:
        quarantine = Quarantine(pool)
        # Its rows are marked for all that are not meant, so that these find nothing to do.
        carrier = Carrier(await connected_client(settings), ALL_FAN_OUTS)
        retried = await quarantine.retry(choice, ALL_FAN_OUTS, settings.batch_max_events)
        for one in retried:
            await carrier.start(one.batch_id, one.events)
        events = {one.batch_id: one.events for one in retried}
        with progress_bars(console, quiet=False) as progress:
            parked = await outcome(ParkedFanOuts(pool), events, progress)
        again = [one for batch_id in events for one in await quarantine.find(Choice(batch_id=batch_id))]
    count = sum(events.values())
    console.print(f"{count:,} tried again: {len(again):,} are in quarantine again", highlight=False)
    if again:
        console.print(_table(again))
    if parked:
        console.print("none of these can be applied, so their batches are parked:")
        console.print(parked_table(parked))
    return 1 if again or parked else 0


def _table(found: Sequence[Quarantined]) -> Table:
    table = Table("event", "fan-out", "since", "account", "type", "of", "reason")
    for one in found:
        what = one.interaction
        when = f"{one.quarantined_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(one.event_id), one.fan_out, when, one.account_id, what.event_type, what.ref_id, one.reason)
    return table


def _print_json(found: Sequence[Quarantined]) -> None:
    from runtime.fan_outs import print_json  # noqa: PLC0415

    documents = [
        {
            "fan_out": one.fan_out,
            "event_id": one.event_id,
            "batch_id": one.batch_id,
            "reason": one.reason,
            "quarantined_at": one.quarantined_at,
            "interaction": readable([one.interaction])[0],
        }
        for one in found
    ]
    print_json(documents)
