import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import FootfallError
from runtime.importing.sending import Batch, EncodedRow, batches_of, send_batches
from runtime.importing.state import Position
from runtime.posting import Outcome, Poster, UnexpectedAnswerError, new_client
from tests.runtime.importing.faulty_server import FaultyServer, Reply
from tests.runtime.importing.test_posting import items


def batches(count: int) -> Iterator[Batch]:
    return batches_of([EncodedRow(line, body) for line, body in enumerate(items(count), start=1)], 0, max_rows=10)


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 7), st.integers(1, 100))
def test_batches_keep_all_rows_in_order_within_both_limits(sizes: list[int], max_rows: int, max_bytes: int) -> None:
    rows = [EncodedRow(line, b"x" * size) for line, size in enumerate(sizes)]
    found = list(batches_of(rows, 5, max_rows=max_rows, max_bytes=max_bytes))
    assert [item for batch in found for item in batch.rows] == rows
    at = 5
    for batch in found:
        assert batch.first_row == at
        at += len(batch.rows)
        assert 0 < len(batch.rows) <= max_rows
        assert len(batch.rows) == 1 or sum(len(item.body) + 1 for item in batch.rows) <= max_bytes


@given(st.permutations(range(8)))
def test_the_position_never_passes_a_gap(order: list[int]) -> None:
    position = Position(100)
    confirmed: set[int] = set()
    for number in order:
        position.confirm(100 + 10 * number, 10)
        confirmed.add(number)
        without_gap = next(one for one in range(9) if one not in confirmed)
        assert position.confirmed == 100 + 10 * without_gap


async def test_every_batch_is_sent_once_over_all_connections(server: FaultyServer) -> None:
    told: list[int] = []
    async with new_client(server.url) as client:
        poster = Poster(client, retry_for_s=60)
        await send_batches(batches(200), poster, 4, lambda batch, _: told.append(batch.first_row))
    assert sorted(told) == list(range(0, 200, 10))
    assert len(server.requests) == 20
    assert len(server.recorded) == 200


async def test_requests_are_under_way_together(server: FaultyServer) -> None:
    together = asyncio.Barrier(4)

    class Waiting(Poster):
        async def submit(self, items: object) -> Outcome:
            await together.wait()  # opens only when four are there
            return Outcome()

    async with new_client(server.url) as client:
        await asyncio.wait_for(send_batches(batches(80), Waiting(client, retry_for_s=1), 4, lambda *_: None), 10)


async def test_the_first_error_ends_all_connections(server: FaultyServer) -> None:
    server.faults.append(Reply(404))
    async with new_client(server.url) as client:
        with pytest.raises(UnexpectedAnswerError) as caught:
            await send_batches(batches(500), Poster(client, retry_for_s=60), 4, lambda *_: None)
    assert isinstance(caught.value, FootfallError)
    assert len(server.recorded) < 500
