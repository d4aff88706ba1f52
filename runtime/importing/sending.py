"""The second pass: rows become batches, batches go out over several connections."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from domain.errors import FootfallError
from domain.ids import id_text
from domain.week import from_us
from runtime.importing.event_ids import EventIds
from runtime.importing.rows import BadRow, Row
from runtime.importing.time_mapping import TimeMapping
from runtime.posting import MAX_BODY_BYTES, MAX_ROWS, Outcome, Poster


class EncodedRow(NamedTuple):
    line: int
    body: bytes
    """What to send, as JSON."""


class Batch(NamedTuple):
    first_row: int
    """Its place among the good rows of the file, from 0."""
    rows: list[EncodedRow]


Done = Callable[[Batch, Outcome], None]

_encode = msgspec.json.Encoder().encode


def encode_interactions(
    rows: Iterable[Row | BadRow], ids: EventIds, mapping: TimeMapping, skip: int
) -> Iterator[EncodedRow]:
    """What to send, without the first `skip` good rows; those still count as occurrences."""
    good = (row for row in rows if isinstance(row, Row))
    for row in islice(good, skip):
        ids.of(row)
    for row in good:
        row.fields["event_id"] = id_text(ids.of(row))
        row.fields["occurred_at"] = from_us(mapping.moved(row.occurred_at_us)).isoformat()
        yield EncodedRow(row.line, _encode(row.fields))


def batches_of(
    rows: Iterable[EncodedRow], first_row: int, *, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BODY_BYTES
) -> Iterator[Batch]:
    """At most `max_rows` each and `max_bytes` together; a row that is larger by itself goes alone."""
    batch: list[EncodedRow] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == max_rows or size + len(row.body) + 1 > max_bytes):
            yield Batch(first_row, batch)
            first_row += len(batch)
            batch, size = [], 0
        batch.append(row)
        size += len(row.body) + 1
    if batch:
        yield Batch(first_row, batch)


async def send_batches(batches: Iterator[Batch], poster: Poster, connections: int, done: Done) -> None:
    """All batches, `connections` at a time; `done` hears of each one that was answered.

    Raises:
        FootfallError: the first that any connection met; what was answered until then stays told.

    """

    async def work() -> None:
        # The connections share one iterator: whoever is free takes the next batch.
        for batch in batches:
            done(batch, await poster.submit([row.body for row in batch.rows]))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())
    except* FootfallError as errors:
        raise errors.exceptions[0] from None
