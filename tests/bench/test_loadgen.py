"""The load generator against a tiny server that does as told."""

import asyncio
import itertools
import math
import random
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bench import loadgen
from bench.events import ACCOUNTS, PRODUCTS, requests
from bench.http1 import Client, MalformedAnswerError, get, parse_head, post
from bench.loadgen import LoadError, Result, drive, percentile

HOST = "127.0.0.1"
REQUEST = get(HOST, "/")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answer = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """The port of a server that answers request number n (from 0, over all connections) with `answer`."""
    numbers = itertools.count()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length:")
                await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                await answer(writer, next(numbers))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


def saying(*answers: bytes) -> tuple[Answer, Counter[bytes]]:
    """Gives these answers in turn; counts what was given."""
    given: Counter[bytes] = Counter()

    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        one = answers[number % len(answers)]
        given[one] += 1
        writer.write(one)

    return answer, given


async def test_closed_loop_counts_every_answer_by_status() -> None:
    busy = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"
    answer, given = saying(OK, OK, busy)
    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=4, seconds=0.2)
    assert result.statuses == {200: given[OK], 429: given[busy]}
    assert not result.errors
    assert len(result.latencies_ms) == result.answers == given.total() > 4
    assert result.bodies == []
    assert result.seconds >= 0.2


async def test_every_request_comes_from_the_callable_and_is_answered() -> None:
    sent = itertools.count()

    def next_request() -> bytes:
        return post(HOST, "/interaction", str(next(sent)).encode())

    answer, given = saying(OK)
    async with serving(answer) as port:
        result = await drive(HOST, port, next_request, connections=3, seconds=0.1)
    assert next(sent) == given.total() == result.require(200).answers


async def test_an_answer_in_pieces_is_one_answer_and_its_body_is_kept_when_asked_for() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        body = str(number).encode() * 3
        for byte in b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:  %d\r\n\r\n%s" % (len(body), body):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=1, seconds=0.1, keep_bodies=True)
    assert result.bodies == [str(number).encode() * 3 for number in range(result.require(200).answers)]


async def test_a_cut_connection_is_counted_and_the_others_go_on() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        if number == 5:
            writer.write(OK[:10])
            writer.close()
        else:
            writer.write(OK)

    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=2, seconds=0.2)
    assert result.errors == {"cut": 1}
    assert result.statuses[200] > 6
    with pytest.raises(LoadError, match="'cut': 1"):
        result.require(200)


async def test_a_closed_loop_whose_connections_are_all_cut_ends() -> None:
    async def answer(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.close()

    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=3, seconds=3_600)
    assert result.errors == {"cut": 3}
    assert result.answers == 0
    assert math.isnan(result.percentile_ms(50))


async def test_an_open_loop_counts_what_it_could_not_send() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        if number == 0:
            writer.write(OK)
        else:
            writer.close()

    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=1, seconds=0.1, rate=100)
    assert result.statuses == {200: 1}
    assert result.errors == {"cut": 1, "unsent": 8}


async def test_a_connection_closed_between_two_requests_is_counted() -> None:
    async def answer(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(OK)
        writer.close()

    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=2, seconds=0.2, rate=10)
    assert result.statuses == {200: 2}
    assert result.errors == {"closed": 2}


@pytest.mark.parametrize(
    "malformed",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        b"SMTP here\r\n\r\n",
        OK + b"and more",
    ],
)
async def test_what_is_not_http_with_a_length_is_counted_as_malformed(malformed: bytes) -> None:
    answer, _ = saying(malformed)
    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=2, seconds=3_600)
    assert result.errors == {"malformed": 2}
    assert result.answers == 0


async def test_answers_that_never_come_are_counted_as_late(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        if number < 3:
            writer.write(OK)

    monkeypatch.setattr(loadgen, "PATIENCE_S", 0.1)
    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=2, seconds=0.1)
    assert result.statuses == {200: 3}
    assert result.errors == {"late": 2}


async def test_nobody_listening_is_an_error() -> None:
    async with serving(saying(OK)[0]) as port:
        pass
    with pytest.raises(OSError, match=str(port)):
        await drive(HOST, port, lambda: REQUEST, connections=1, seconds=0.1)


async def test_open_loop_latency_counts_from_the_intended_start() -> None:
    """A stall delays all requests that were due during it, not only the one that met it."""
    rate, stall_s = 50, 0.5

    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        if number == 0:
            await asyncio.sleep(stall_s)
        writer.write(OK)

    async with serving(answer) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=1, seconds=0.4, rate=rate)
    assert result.require(200).answers == 20
    least = [(stall_s - number / rate) * 1000 for number in range(20)]
    slack_ms = 5  # of the event loop's clock; the machine's slowness only adds to latencies
    assert all(got >= bound - slack_ms for got, bound in zip(result.latencies_ms, least, strict=True))


async def test_an_open_loop_sends_rate_times_seconds_requests() -> None:
    async with serving(saying(OK)[0]) as port:
        result = await drive(HOST, port, lambda: REQUEST, connections=8, seconds=0.25, rate=1_000)
    assert result.require(200).answers == 250


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (50, 500.0), (99, 990.0), (99.9, 999.0), (99.91, 1000.0), (100, 1000.0)]
)
def test_percentiles_are_exact(percent: float, expected: float) -> None:
    values = [float(number) for number in range(1, 1_001)]
    random.Random(1).shuffle(values)
    assert Result(latencies_ms=array("d", values)).percentile_ms(percent) == expected


def test_percentiles_of_few_values() -> None:
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0
    assert percentile([1.0, 2.0], 50) == 1.0
    assert percentile([1.0, 2.0], 51) == 2.0
    assert math.isnan(percentile([], 50))


def test_heads_are_parsed() -> None:
    assert parse_head(b"HTTP/1.1 202 Accepted\r\nserver: x\r\nContent-Length: 17\r\nx: y") == (202, 17)
    assert parse_head(b"HTTP/1.1 204 No Content\r\nserver: x") == (204, 0)
    with pytest.raises(MalformedAnswerError):
        parse_head(b"HTTP/1.0 200 OK\r\nContent-Length: 0")


async def test_the_client_asks_again_on_one_connection() -> None:
    async with serving(saying(OK)[0]) as port:
        client = await Client.connect(HOST, port)
        assert [await client.ask(REQUEST) for _ in range(3)] == [(200, b"ok")] * 3
        await client.close()
