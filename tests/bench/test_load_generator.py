"""The load generator counts what happened, and hides no stall."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.loadgen import Intervals, Result, load, post

_OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"
_REQUEST = post("127.0.0.1", "/interaction", b"{}")


@contextmanager
def _server(answers: list[bytes | float | None]) -> Iterator[int]:
    """Answers in turn, the last one for ever: bytes are sent, a number is waited for first, None cuts."""
    ready = threading.Event()
    state: dict[str, object] = {}

    async def serve() -> None:
        left = list(answers)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(65_536):
                answer = left.pop(0) if len(left) > 1 else left[0]
                if answer is None:
                    break
                if isinstance(answer, float):
                    await asyncio.sleep(answer)
                    answer = _OK
                writer.write(answer)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        state["port"], state["stop"] = server.sockets[0].getsockname()[1], asyncio.Event()
        state["loop"] = asyncio.get_running_loop()
        ready.set()
        async with server:
            await state["stop"].wait()  # type: ignore[attr-defined]

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield state["port"]  # type: ignore[misc]
    finally:
        state["loop"].call_soon_threadsafe(state["stop"].set)  # type: ignore[attr-defined]
        thread.join(10)


def test_every_answer_is_counted_by_its_status() -> None:
    busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    with _server([busy, busy, _OK]) as port:
        result = load("127.0.0.1", port, lambda: _REQUEST, connections=1, seconds=0.2)
    assert result.statuses[503] == len(result.refused_us) == 2
    assert result.statuses[202] == result.answers - 2 == result.latency.count > 0
    assert result.cut == 0


def test_a_cut_connection_is_counted_and_is_no_answer() -> None:
    with _server([_OK, None]) as port:
        result = load("127.0.0.1", port, lambda: _REQUEST, connections=1, seconds=5)
    assert (result.statuses[202], result.cut) == (1, 1)


def test_an_answer_in_pieces_is_one() -> None:
    long = b"HTTP/1.1 202 Accepted\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    with _server([long]) as port:
        result = load("127.0.0.1", port, lambda: _REQUEST, connections=2, seconds=0.2)
    assert set(result.statuses) == {202}
    assert result.cut == 0


def test_an_open_loop_counts_a_stall_against_all_who_were_to_start_in_it() -> None:
    """One stall of 0.5 s at 100 requests a second is some 50 slow answers, not one."""
    with _server([_OK, 0.5, _OK]) as port:
        result = load("127.0.0.1", port, lambda: _REQUEST, connections=1, seconds=1, rate=100)
    assert sum(latency > 50_000 for latency in result.latencies_us) > 20
    assert result.latency.max_ms > 450


def test_a_load_can_be_looked_at_while_it_runs() -> None:
    seen: list[Result] = []
    with _server([_OK]) as port:
        rest = load(
            "127.0.0.1",
            port,
            lambda: _REQUEST,
            connections=2,
            seconds=0.5,
            rate=200,
            intervals=Intervals(0.2, seen.append),
        )
    assert seen
    assert all(one.answers and one.seconds > 0.1 for one in seen)
    assert rest.answers < 100 - seen[0].answers + 2


def test_the_time_to_open_the_connections_is_not_the_servers() -> None:
    with _server([_OK]) as port:
        started = time.perf_counter()
        result = load("127.0.0.1", port, lambda: _REQUEST, connections=400, seconds=0.2)
        whole = time.perf_counter() - started
    assert result.answers > 400
    assert whole - result.seconds > 400 * 0.0002


@pytest.mark.parametrize(("percent", "expected"), [(0, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)])
def test_percentiles_are_of_the_answers(percent: float, expected: float) -> None:
    result = Result()
    result.latencies_us.extend(n * 1000.0 for n in range(100, 0, -1))
    assert result.percentile_ms(percent) == pytest.approx(expected, rel=0.001)
