"""The commands `footfall rebuild` and `footfall verify`: recounts of the blocks, in a workflow, beside live traffic.

Exit codes: 0 all is right, or was made so; 1 something differs; 2 it could not be done.
"""

from pathlib import Path
from typing import Annotated

import typer

from domain.event_types import load_event_weights
from domain.rebuild import Purpose, RebuildInput
from runtime.commands import connected_settings, leave_after

rebuild_app = typer.Typer(
    help="Recount a read model from the block store, beside the live one.", no_args_is_help=True
)

_From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First UTC day. [default: all in keep]")]
_To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last UTC day. [default: tomorrow]")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@rebuild_app.command("popularity")
def rebuild_popularity(
    from_day: _From = None,
    to_day: _To = None,
    compare: Annotated[bool, typer.Option("--compare", help="Only say what differs; change nothing.")] = False,
    weights: Annotated[Path | None, typer.Option(help="Count by this event types file; only with --compare.")] = None,
    as_json: _Json = False,
) -> None:
    """Recount popularity from the blocks and add what is missing or too much to the live rows."""
    if weights is not None and not compare:
        raise typer.BadParameter(
            "--weights goes with --compare only: live traffic counts by the workers' table. Set "
            "FOOTFALL_EVENT_TYPES_FILE, start the workers again, then rebuild"
        )
    purpose: Purpose = "compare" if compare else "rebuild"
    _run(purpose, from_day, to_day, weights, as_json=as_json)


@rebuild_app.command("stop")
def stop_rebuild() -> None:
    """End the rebuild or verification that is on; what it had added stays, and is right."""
    from runtime.rebuild_run import stop  # noqa: PLC0415

    leave_after(stop(connected_settings()))


def verify(
    from_day: _From = None,
    to_day: _To = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    as_json: _Json = False,
) -> None:
    """Hold popularity and the ledger against the blocks and name every difference; exit code 1 if there is one."""
    purpose: Purpose = "repair" if repair else "verify"
    _run(purpose, from_day, to_day, None, as_json=as_json)


def _run(purpose: Purpose, from_day: str | None, to_day: str | None, weights: Path | None, *, as_json: bool) -> None:
    from runtime.rebuild_run import rebuild  # noqa: PLC0415  (each command loads what it needs)

    async def run() -> int:
        table = None if weights is None else load_event_weights(weights)
        request = RebuildInput(purpose, from_day, to_day, table)
        return await rebuild(connected_settings(), request, as_json=as_json)

    leave_after(run())
