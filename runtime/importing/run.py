"""One import, from the options to the summary."""

import asyncio
import time
from collections.abc import Iterator

import httpx
from rich.console import Console
from rich.progress import Progress

from runtime.importing.catalog import import_catalog
from runtime.importing.event_ids import EventIds
from runtime.importing.line_formats import LineFormat
from runtime.importing.plan import Options, begin
from runtime.importing.reading import choose_format, fingerprint, read_rows
from runtime.importing.sending import Batch, batches_of, encode_interactions, send_batches
from runtime.importing.state import ImportState, Position, StateFile
from runtime.importing.summary import BadRowReport, Summary, progress_of
from runtime.importing.survey import Survey, survey_rows
from runtime.posting import INTERACTIONS, Outcome, Poster, new_client
from runtime.target import api_key

_SAVE_EVERY_S = 1.0


def run_import(options: Options, console: Console, now_us: int) -> Summary:
    """Raises FootfallError where it could not be finished; what was confirmed until then is remembered."""
    client = new_client(options.url, api_key())  # before the first pass, which may be long
    file_format = choose_format(options.file, options.format_name)
    if file_format.route is not INTERACTIONS:
        return import_catalog(options, file_format, client, console)
    report = BadRowReport(console)
    with progress_of(console) as progress:
        survey = _survey(options, file_format, report, progress)
        state_file = StateFile(fingerprint(options.file), options.url, file_format.name)
        state, told = begin(options, survey, state_file.load(), now_us)
        for line in told:
            console.print(line, highlight=False, markup=False)
        state_file.save(state)
        sending = _Sending(state, state_file, survey, report, progress)
        ids = EventIds(file_format.name, survey.repeats, state.salt)
        rows = encode_interactions(read_rows(options.file, file_format), ids, state.mapping, state.confirmed)
        asyncio.run(sending.run(batches_of(rows, state.confirmed), client, options))
    return sending.summary


def _survey(options: Options, file_format: LineFormat, report: BadRowReport, progress: Progress) -> Survey:
    task = progress.add_task("reading", total=options.file.stat().st_size)
    rows = read_rows(options.file, file_format, lambda position: progress.update(task, completed=position))
    survey = survey_rows(rows, report.unreadable)
    progress.remove_task(task)
    return survey


class _Sending:
    """The second pass, its figures and its place in the file."""

    def __init__(
        self, state: ImportState, state_file: StateFile, survey: Survey, report: BadRowReport, progress: Progress
    ) -> None:
        self._state, self._file, self._report, self._progress = state, state_file, report, progress
        self._position = Position(state.confirmed)
        self._task = progress.add_task("sending", total=survey.rows, completed=state.confirmed)
        self._saved_at = time.monotonic()
        self.summary = Summary(rows=survey.rows, bad=survey.bad, resumed=state.confirmed)

    async def run(self, batches: Iterator[Batch], client: httpx.AsyncClient, options: Options) -> None:
        started = time.monotonic()
        poster = Poster(client, retry_for_s=options.retry_for_s)
        try:
            async with client:
                await send_batches(batches, poster, options.connections, self._done)
            self._state.finished = True
        finally:
            self.summary.took(time.monotonic() - started)
            self._save()

    def _done(self, batch: Batch, outcome: Outcome) -> None:
        self.summary.add(batch, outcome)
        self._report.refused(batch, outcome)
        self._position.confirm(batch.first_row, len(batch.rows))
        self._progress.advance(self._task, len(batch.rows))
        if time.monotonic() - self._saved_at >= _SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        self._state.confirmed = self._position.confirmed
        self._file.save(self._state)
        self._saved_at = time.monotonic()
