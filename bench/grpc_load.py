"""A light gRPC load generator: unary calls over HTTP/2, prebuilt messages, closed loop.

grpcio's own client takes more processor time a call than the server that it measures. This one writes two frames a
call (RFC 9113) and reads of an answer only whether a message came, which no failed call has. The headers are the same
in every call and use nothing of HPACK's dynamic table (RFC 7541), so they are bytes built once.
"""

import asyncio
import struct
import time
from array import array
from collections.abc import Callable
from typing import cast

import uvloop

from bench.loadgen import Result

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEAD = 9
_WINDOW = 65_535
"""Bytes that may be sent before the server has said that it takes more."""
_ALL_WINDOW = 2**31 - 1
_OK, _FAILED = 200, 500


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _text(value: str) -> bytes:
    """A string literal of HPACK shorter than 127 bytes, as it is."""
    raw = value.encode()
    return bytes([len(raw)]) + raw


def _call_headers(authority: str, method: str) -> bytes:
    """POST and http are entries 3 and 6 of HPACK's static table; 4, 1 and 31 have names alone."""
    return (
        b"\x83\x86\x04"
        + _text(method)
        + b"\x01"
        + _text(authority)
        + b"\x0f\x10"
        + _text("application/grpc")
        + b"\x00"
        + _text("te")
        + _text("trailers")
    )


def message(payload: bytes) -> bytes:
    """Length-prefixed and not compressed, as gRPC frames messages."""
    return b"\x00" + len(payload).to_bytes(4, "big") + payload


class _Connection(asyncio.Protocol):
    """One connection with so many calls under way at once."""

    def __init__(self, run: "_Run", headers: bytes) -> None:
        self._run = run
        self._headers = headers
        self._read = b""
        self._next_stream = 1
        self._window = _WINDOW
        self._held: list[bytes] = []
        self._calls: dict[int, float] = {}
        self._answered: set[int] = set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        window = struct.pack(">I", _ALL_WINDOW - _WINDOW)
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_WINDOW_UPDATE, 0, 0, window),
        )

    def call(self) -> None:
        body = self._run.next_message()
        if len(body) > self._window or self._held:
            self._held.append(body)
            return
        self._send(body)

    def _send(self, body: bytes) -> None:
        assert self._transport is not None
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._window -= len(body)
        self._calls[stream] = time.perf_counter()
        self._transport.write(
            _frame(_HEADERS, _END_HEADERS, stream, self._headers) + _frame(_DATA, _END_STREAM, stream, body)
        )

    def data_received(self, data: bytes) -> None:
        data = self._read + data if self._read else data
        at = 0
        while len(data) - at >= _HEAD:
            length = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < _HEAD + length:
                break
            kind, flags, stream = struct.unpack_from(">BBI", data, at + 3)
            self._take(kind, flags, stream, data[at + _HEAD : at + _HEAD + length])
            at += _HEAD + length
        self._read = data[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        assert self._transport is not None
        if kind == _DATA and payload:
            self._answered.add(stream)
        if kind == _RESET or (kind in (_DATA, _HEADERS) and flags & _END_STREAM):
            self._end(stream)
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
            while self._held and len(self._held[0]) <= self._window:
                self._send(self._held.pop(0))
        elif kind == _GOAWAY:
            raise SystemExit(f"the server went away: {payload[8:]!r}")

    def _end(self, stream: int) -> None:
        started = self._calls.pop(stream, None)
        if started is None:
            return
        status = _OK if stream in self._answered else _FAILED
        self._answered.discard(stream)
        self._run.ended(self, status, started)

    def connection_lost(self, _error: Exception | None) -> None:
        self._run.lost(len(self._calls) + len(self._held))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Run:
    def __init__(self, next_message: Callable[[], bytes], deadline: float) -> None:
        self.next_message = next_message
        self.result = Result(latencies_us=array("d"))
        self.finished = asyncio.Event()
        self.under_way = 0
        self._deadline = deadline

    def begin(self, connections: list[_Connection], calls_each: int) -> None:
        for one in connections:
            for _ in range(calls_each):
                self.under_way += 1
                one.call()

    def ended(self, connection: _Connection, status: int, started: float) -> None:
        now = time.perf_counter()
        self.result.statuses[status] += 1
        self.result.latencies_us.append((now - started) * 1_000_000)
        if now < self._deadline:
            connection.call()
        else:
            self.lost(1, cut=False)

    def lost(self, calls: int, *, cut: bool = True) -> None:
        self.under_way -= calls
        self.result.cut += calls if cut else 0
        if self.under_way <= 0:
            self.finished.set()


async def _load(
    host: str, port: int, method: str, next_message: Callable[[], bytes], connections: int, calls: int, seconds: float
) -> Result:
    headers = _call_headers(f"{host}:{port}", method)
    started = time.perf_counter()
    run = _Run(next_message, started + seconds)
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Connection(run, headers), host, port))[1] for _ in range(connections)
    ]
    run.begin(opened, calls)
    await run.finished.wait()
    run.result.seconds = time.perf_counter() - started
    for one in opened:
        one.close()
    return run.result


def load_calls(
    host: str,
    port: int,
    method: str,
    next_message: Callable[[], bytes],
    *,
    connections: int,
    calls: int,
    seconds: float,
) -> Result:
    """Calls `method`, as /package.Service/Call, with the messages (see `message`) that come; `calls` at once on each
    connection. In the result an answered call has the status 200, a failed one 500.
    """
    return uvloop.run(_load(host, port, method, next_message, connections, calls, seconds))
