"""`footfall import`: a file into a running Footfall."""

import time
from pathlib import Path
from typing import Annotated

import typer

from runtime.commands import INTERRUPTED


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="May end in .gz.")],
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="jsonl, retailrocket or movielens. [default: guessed from the first lines]"),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="FOOTFALL_URL", help="[default: the running `footfall up`, or http://127.0.0.1:8000]"),
    ] = None,
    shift_to_now: Annotated[bool, typer.Option("--shift-to-now", help="Move the last row to the present.")] = False,
    span: Annotated[
        str | None,
        typer.Option(help="Squeeze the times into at most so long, ending now: 90s, 30m, 12h, 7d, 20w."),
    ] = None,
    as_new: Annotated[bool, typer.Option("--as-new", help="Import the rows again, as new events.")] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Send all rows, also those that an interrupted run had confirmed.")
    ] = False,
    connections: Annotated[int, typer.Option(min=1, max=64, help="Requests at a time.")] = 4,
    retry_for: Annotated[str, typer.Option(help="Give up after so long without any progress.")] = "5m",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where any row was bad or refused.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Import a file of interactions, or of MovieLens' items or users. Importing it again changes nothing.

    jsonl: one interaction a line, as POST /interaction takes it. retailrocket: CSV of timestamp (ms), visitorid,
    event, itemid, transactionid. movielens: user, item, rating and seconds with tabs or commas between; a rating
    from 4 is rating_high, up to 2 rating_low, between rating_medium. Also u.item, movies.csv and u.user, which are
    told by their first lines and go into the catalog.

    Event ids are derived from the rows, so a row that is there already is not recorded twice. How the times were
    moved is remembered for each file and server, and used again: --shift-to-now and --span are for the first import.
    An interrupted import goes on where it was; after one with --as-new, leave --as-new away to go on. The server
    refuses rows from over 24 weeks ago. A bad row is reported and passed over. A file that grew since counts as
    another file: its rows keep their ids, but --shift-to-now would move them elsewhere, and they would count twice.
    """
    from rich.console import Console  # noqa: PLC0415  (so that other commands start without it)

    from runtime.importing.plan import Options  # noqa: PLC0415
    from runtime.importing.run import run_import  # noqa: PLC0415
    from runtime.importing.summary import print_summary  # noqa: PLC0415
    from runtime.importing.time_mapping import parse_span  # noqa: PLC0415
    from runtime.target import target_url  # noqa: PLC0415

    console = Console(stderr=True)
    options = Options(
        file=file,
        url=target_url(url),
        format_name=format_name,
        shift_to_now=shift_to_now,
        span_us=parse_span(span) if span is not None else None,
        as_new=as_new,
        from_start=from_start,
        connections=connections,
        retry_for_s=parse_span(retry_for) / 1_000_000,
    )
    try:
        summary = run_import(options, console, time.time_ns() // 1_000)
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on where this was.")
        raise typer.Exit(INTERRUPTED) from None
    print_summary(summary, as_json=as_json)
    if strict and summary.bad + summary.refused:
        raise typer.Exit(1)
