"""An import of items or users. Each is put in the place of what was known, so that all may be sent again."""

import asyncio
import time

import httpx
import msgspec
from rich.console import Console

from domain.errors import InvalidInputError
from runtime.importing.line_formats import LineFormat
from runtime.importing.plan import Options
from runtime.importing.reading import read_rows
from runtime.importing.rows import BadRow
from runtime.importing.sending import Batch, EncodedRow, batches_of, send_batches
from runtime.importing.summary import BadRowReport, Summary, progress_of
from runtime.posting import Outcome, Poster


def import_catalog(options: Options, file_format: LineFormat, client: httpx.AsyncClient, console: Console) -> Summary:
    """Raises FootfallError where it could not be finished, or was asked for what only interactions have."""
    kind = file_format.route.name
    if options.shift or options.as_new or options.from_start:
        raise InvalidInputError(
            f"{options.file.name} holds {kind}, not interactions: leave --shift-to-now, --span, --as-new and "
            "--from-start away"
        )
    report = BadRowReport(console)
    summary = Summary(kind=kind)
    rows = _rows(options, file_format, report, summary)  # all of them: such a file is small beside its interactions
    with progress_of(console) as progress:
        task = progress.add_task("sending", total=len(rows))

        def done(batch: Batch, outcome: Outcome) -> None:
            summary.add(batch, outcome)
            report.refused(batch, outcome)
            progress.advance(task, len(batch.rows))

        async def send() -> None:
            poster = Poster(client, file_format.route, retry_for_s=options.retry_for_s)
            async with client:
                await send_batches(batches_of(rows, 0), poster, options.connections, done)

        started = time.monotonic()
        asyncio.run(send())
        summary.took(time.monotonic() - started)
    return summary


def _rows(options: Options, file_format: LineFormat, report: BadRowReport, summary: Summary) -> list[EncodedRow]:
    rows = []
    for row in read_rows(options.file, file_format):
        if isinstance(row, BadRow):
            summary.bad += 1
            report.unreadable(row)
        else:
            summary.rows += 1
            rows.append(EncodedRow(row.line, msgspec.json.encode(row.fields)))
    return rows
