"""A light HTTP/1.1 load generator: keep-alive connections, prebuilt requests, closed or open loop.

It runs in its own process and reads of an answer only the status and the length. In an open loop a request has an
intended time to start, and its latency counts from that time, so that a stalled server can't hide its stall
(no coordinated omission). Requests start up to a millisecond late, which counts too. `python -m bench.loadgen` prints
its own ceiling.

Latencies go into their HdrHistogram after the run: recording them at once, a request costs the generator 8.6 µs of
processor in place of 7.7, and its ceiling falls from 127,000 requests a second to 113,000.
"""

import asyncio
import multiprocessing
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import NamedTuple, cast

import uvloop

from bench.latency import Latency
from runtime.ports import free_port

# A connection is there for its client before the server has accepted it, which a busy server is slow to do.
_ACCEPT_S = 0.0002

NextRequest = Callable[[], bytes]


@dataclass
class Result:
    """What one run saw; latencies are of answers only, those of refusals apart."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    unsent: int = 0
    """Of an open loop: due while every connection waited for its answer, and given up at the end."""
    # Not shown: asyncio makes a text of what a task returns, for nobody, and that took a microsecond a latency.
    latencies_us: "array[float]" = field(default_factory=lambda: array("d"), repr=False)
    refused_us: "array[float]" = field(default_factory=lambda: array("d"), repr=False)

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    @cached_property
    def latency(self) -> Latency:
        """To be asked for when the run is over."""
        return Latency(self.latencies_us)

    def percentile_ms(self, percent: float) -> float:
        return self.latency.percentile_ms(percent)


class Connection(asyncio.Protocol):
    """One connection; takes its next request from the run when its answer is complete."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._started = 0.0
        self._missing = -1  # bytes of the body still to come; -1 while the head is incomplete
        self._head = b""
        self._status = 0
        self._transport: asyncio.Transport | None = None
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._run.idle(self)

    def send(self, request: bytes, started: float) -> None:
        assert self._transport is not None
        self.busy, self._started = True, started
        self._run.under_way += 1
        self._missing, self._head = -1, b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._status = int(data[9:12])
            self._missing = _content_length(data[:end]) - (len(data) - end - 4)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self.busy = False
            self._run.under_way -= 1
            self._run.answered(self._status, self._started)
            self._run.idle(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._run.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


class _Run:
    def __init__(self, next_request: NextRequest, rate: float | None, *, patient: bool) -> None:
        self.result = Result()
        self._patient = patient
        self._next_request = next_request
        self._deadline: float | None = None
        self._rate = rate
        self._open: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self.finished = asyncio.Event()
        self.under_way = 0
        self._over = False

    def begin(self, deadline: float) -> None:
        """All connections are there: to open thousands takes seconds, which are not the server's."""
        self._deadline = deadline
        for connection in list(self._open):
            self.idle(connection)
        self._check_finished()

    def take(self) -> Result:
        """What was seen since the last time; the run goes on."""
        taken, self.result = self.result, Result()
        return taken

    def idle(self, connection: Connection) -> None:
        self._open.add(connection)
        if self._deadline is None:
            return
        now = time.perf_counter()
        if self._rate is not None:
            self._idle.append(connection)
            self._send_due()
        elif now < self._deadline:
            connection.send(self._next_request(), now)
            return
        self._check_finished()

    def answered(self, status: int, started: float) -> None:
        self.result.statuses[status] += 1
        took = self.result.latencies_us if status < HTTPStatus.BAD_REQUEST else self.result.refused_us
        took.append((time.perf_counter() - started) * 1_000_000)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        self.under_way -= connection.busy
        if connection.busy or self._deadline is None:  # the latter was closed before it could ask for anything
            self.result.cut += 1
        connection.busy = False
        self._check_finished()

    async def pace(self, rate: float) -> None:
        """Open loop: makes requests due at their intended times, whether or not a connection is free."""
        assert self._deadline is not None
        start, made = time.perf_counter(), 0
        while (now := time.perf_counter()) < self._deadline:
            while start + made / rate <= now:
                self._due.append(start + made / rate)
                made += 1
            self._send_due()
            await asyncio.sleep(0.001)
        if not self._patient:
            self.result.unsent = len(self._due)
            self._due.clear()
        self._over = True
        self._check_finished()

    def _send_due(self) -> None:
        while self._due and self._idle:
            connection = self._idle.popleft()
            if connection in self._open:
                due = self._due.popleft()
                connection.send(self._next_request(), due if self._patient else time.perf_counter())

    def _check_finished(self) -> None:
        if self._deadline is None:
            return
        over = time.perf_counter() >= self._deadline if self._rate is None else self._over and not self._due
        if (over and not self.under_way) or not self._open:
            self.finished.set()

    def close(self) -> None:
        for connection in list(self._open):
            connection.close()


@dataclass(frozen=True)
class Intervals:
    """A load that is looked at while it runs."""

    seconds: float
    seen: Callable[[Result], None]
    """Told of each interval in turn; the last one is what the load returns."""

    async def look(self, run: _Run) -> None:
        due = time.perf_counter()
        while True:
            began, due = time.perf_counter(), due + self.seconds
            await asyncio.sleep(due - began)
            taken = run.take()
            taken.seconds = time.perf_counter() - began
            self.seen(taken)


async def _load(
    host: str,
    port: int,
    next_request: NextRequest,
    connections: int,
    seconds: float,
    rate: float | None,
    intervals: Intervals | None,
    *,
    patient: bool,
) -> Result:
    run = _Run(next_request, rate, patient=patient)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(run), host, port)
    await asyncio.sleep(connections * _ACCEPT_S)
    started = time.perf_counter()
    run.begin(started + seconds)
    looking = None if intervals is None else asyncio.create_task(intervals.look(run))
    if rate is not None:
        await run.pace(rate)
    await run.finished.wait()
    if looking is not None:
        looking.cancel()
    run.result.seconds = time.perf_counter() - started
    run.close()
    return run.result


def load(
    host: str,
    port: int,
    next_request: NextRequest,
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    intervals: Intervals | None = None,
    patient: bool = True,
) -> Result:
    """Runs one load in this process; `rate` requests a second make it an open loop.

    The last answers are waited for. Connections that the server cuts are counted, and not opened again. An open loop
    that is not patient is one that no server can serve: a request's latency counts from when it was sent, and what
    is due and unsent at the end is given up.
    """
    return uvloop.run(_load(host, port, next_request, connections, seconds, rate, intervals, patient=patient))


def post(host: str, path: str, body: bytes, *, media_type: str = "application/json") -> bytes:
    """The bytes of a POST."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


def get(host: str, path: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


class _Responder(asyncio.Protocol):
    """Answers every read with an empty 202: what a server at no cost would look like."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


def _respond(port: int, ready: "multiprocessing.synchronize.Event") -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Responder, "127.0.0.1", port)
        ready.set()
        await server.serve_forever()

    uvloop.run(serve())


class Ceiling(NamedTuple):
    requests_per_s: float
    cpu_us: float
    """Of the generator's processor time, a request."""


def ceiling(connections: int, seconds: float) -> Ceiling:
    """What the generator does at its most, against a responder in a process of its own."""
    port, ready = free_port("127.0.0.1", 0), multiprocessing.Event()
    responder = multiprocessing.Process(target=_respond, args=(port, ready), daemon=True)
    responder.start()
    ready.wait(10)
    request = post("127.0.0.1", "/interaction", b"{}" * 80)
    before = time.process_time()
    result = load("127.0.0.1", port, lambda: request, connections=connections, seconds=seconds)
    spent = time.process_time() - before
    responder.terminate()
    responder.join()
    return Ceiling(result.rate, spent / result.answers * 1e6)


def main() -> None:
    for connections in (1, 32):
        most = ceiling(connections, 3)
        words = f"{most.requests_per_s:,.0f} requests/s, {most.cpu_us:.1f} µs of CPU a request"
        print(f"{connections} connections: {words}")


if __name__ == "__main__":
    main()
