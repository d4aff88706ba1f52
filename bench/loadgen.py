"""A light HTTP/1.1 load generator: keep-alive connections, prebuilt requests, closed or open loop.

It runs in its own process. In an open loop a request has an intended time to start, and its latency counts from
that time, so that a stalled server can't hide its stall (no coordinated omission). The loop wakes up every
millisecond, so up to one millisecond of an open loop's latencies is its own.

`python -m bench.loadgen --ceiling` measures the load generator itself.
"""

import argparse
import asyncio
import math
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop

from bench.http1 import MalformedAnswerError, parse_head

NextRequest = Callable[[], bytes]

PATIENCE_S = 60.0
"""How long after the end of a load its last answers are waited for."""


class LoadError(Exception):
    """A load that met other answers than expected, or requests without an answer."""


@dataclass
class Result:
    """What one load saw. Latencies in milliseconds, of whole answers only."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """cut: the connection was lost under a request; closed: it was lost between two; malformed: no such HTTP;
    late: no answer within PATIENCE_S; unsent: due, and no connection was left or free to send it on."""
    latencies_ms: "array[float]" = field(default_factory=lambda: array("d"))
    bodies: list[bytes] = field(default_factory=list)
    """In the order of the answers; only where they were asked for."""

    @property
    def answers(self) -> int:
        return self.statuses.total()

    def percentile_ms(self, percent: float) -> float:
        """The smallest latency that at least `percent` of all answers do not exceed; NaN without answers."""
        return percentile(self.latencies_ms, percent)

    def require(self, status: int) -> "Result":
        """Itself, where every request was answered with this status.

        Raises:
            LoadError: one was not.

        """
        if self.errors or set(self.statuses) != {status}:
            raise LoadError(f"expected {status} only: answers {dict(self.statuses)}, errors {dict(self.errors)}")
        return self


def percentile(values: "array[float] | list[float]", percent: float) -> float:
    """By nearest rank, so always one of the values; NaN without any."""
    if not values:
        return math.nan
    rank = math.ceil(round(len(values) * percent / 100, 6))  # 99.9 % of 1,000 is 999, whatever floats say
    return sorted(values)[max(rank, 1) - 1]


class _Connection(asyncio.Protocol):
    """Takes its next request from the run when its answer is complete."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._transport: asyncio.Transport
        self._intended = 0.0
        self._head = b""
        self._missing: int | None = None  # bytes of the body still to come; None while the head is incomplete
        self._status = 0
        self._kept = b""
        self.busy = False
        self.fault = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, intended: float) -> None:
        self.busy, self._intended, self._missing = True, intended, None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing is None:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            try:
                self._status, self._missing = parse_head(data[:end])
            except MalformedAnswerError:
                self._give_up()
                return
            data = data[end + 4 :]
        self._missing -= len(data)
        if self._run.keep_bodies:
            self._kept += data
        if self._missing < 0 or not self.busy:
            self._give_up()
        elif not self._missing:
            kept, self._kept, self.busy = self._kept, b"", False
            self._run.answered(self, self._status, self._intended, kept)

    def _give_up(self) -> None:
        self.fault = "malformed"
        self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._run.lost(self)

    def close(self) -> None:
        self._transport.close()


class _Run:
    """One load over all its connections."""

    def __init__(self, next_request: NextRequest, seconds: float, rate: float | None, keep_bodies: bool) -> None:
        self.result = Result()
        self.keep_bodies = keep_bodies
        self.finished = asyncio.Event()
        self._next_request = next_request
        self._seconds = seconds
        self._rate = rate
        self._started = self._deadline = 0.0
        self._open: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        self._due: deque[float] = deque()
        self._busy = 0
        self._all_due = rate is None
        self._closed = False

    async def connect(self, host: str, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), host, port)
            self._open.add(connection)

    def start(self) -> None:
        self._started = time.perf_counter()
        self._deadline = self._started + self._seconds
        for connection in list(self._open):
            self._idle_again(connection, self._started)

    async def pace(self, rate: float) -> None:
        """Open loop: makes requests due at their intended times, whether or not a connection is free."""
        made, total = 0, math.ceil(self._seconds * rate)
        while made < total:
            now = time.perf_counter()
            while made < total and (intended := self._started + made / rate) <= now:
                self._due.append(intended)
                made += 1
            self._send_due()
            await asyncio.sleep(0.001)
        self._all_due = True
        self._check_finished(time.perf_counter())

    def answered(self, connection: _Connection, status: int, intended: float, body: bytes) -> None:
        now = time.perf_counter()
        self._busy -= 1
        self.result.statuses[status] += 1
        self.result.latencies_ms.append((now - intended) * 1000)
        if self.keep_bodies:
            self.result.bodies.append(body)
        self._idle_again(connection, now)

    def lost(self, connection: _Connection) -> None:
        if self._closed:
            return
        self._open.discard(connection)
        self._busy -= connection.busy
        self.result.errors[connection.fault or ("cut" if connection.busy else "closed")] += 1
        self._check_finished(time.perf_counter())

    def _idle_again(self, connection: _Connection, now: float) -> None:
        if self._rate is not None:
            self._idle.append(connection)
            self._send_due()
        elif now < self._deadline:
            self._busy += 1
            connection.send(self._next_request(), now)
            return
        self._check_finished(now)

    def _send_due(self) -> None:
        while self._due and self._idle:
            connection = self._idle.popleft()
            if connection in self._open:
                self._busy += 1
                connection.send(self._next_request(), self._due.popleft())

    def _check_finished(self, now: float) -> None:
        over = self._all_due and now >= self._deadline if self._rate is None else self._all_due and not self._due
        if (over and not self._busy) or not self._open:
            self.finished.set()

    def close(self) -> Result:
        """Ends the load, with everything counted that got no answer."""
        self._closed = True
        self.result.seconds = time.perf_counter() - self._started
        late = Counter({"late": self._busy, "unsent": len(self._due)})
        self.result.errors += late  # drops the zeros
        for connection in self._open:
            connection.close()
        return self.result


async def drive(
    host: str,
    port: int,
    next_request: NextRequest,
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    keep_bodies: bool = False,
) -> Result:
    """One load; `rate` requests a second make it an open loop of exactly rate times seconds requests.

    Its clock starts when all connections stand. The last answers are waited for. A connection that the server
    cuts is counted and not opened again.

    Raises:
        OSError: a connection can't be opened.

    """
    run = _Run(next_request, seconds, rate, keep_bodies)
    await run.connect(host, port, connections)
    run.start()
    if rate is not None:
        await run.pace(rate)
    try:
        await asyncio.wait_for(run.finished.wait(), PATIENCE_S + (seconds if rate is None else 0))
    except TimeoutError:
        pass  # close() counts what is missing
    return run.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ceiling", action="store_true", required=True, help="measure the load generator itself")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each of the three loads")
    arguments = parser.parse_args()
    from bench.ceiling import measure_ceiling  # noqa: PLC0415  (it needs this module)

    uvloop.run(measure_ceiling(arguments.seconds))


if __name__ == "__main__":
    main()
