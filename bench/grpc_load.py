"""A light gRPC load generator: HTTP/2 without TLS, prebuilt requests, closed loop.

gRPC's own client takes 150 µs of processor a call, as much as the server that it is to measure, on the same machine.
This one knows of HTTP/2 what a server of gRPC needs: it reads of an answer only whether it has a message, which a
refused call has not. So few bytes are under way that the server's flow control never holds them back.
"""

import asyncio
import struct
import time
from array import array
from collections.abc import Callable
from typing import cast

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEAD = struct.Struct(">IBI")  # length and type, flags, stream
_HEAD_BYTES = 9
_MOST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535
_INITIAL_WINDOW = 4
_INDEXED_POST, _INDEXED_HTTP = b"\x83", b"\x86"  # HPACK's static table (RFC 7541, appendix A)


class Connection(asyncio.Protocol):
    """One connection with `at_once` calls under way until the time is over."""

    def __init__(self, path: str, next_request: Callable[[], bytes], at_once: int, seconds: float) -> None:
        self.latencies_us: array[float] = array("d")
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._headers = _header_block(path)
        self._next_request = next_request
        self._at_once = at_once
        self._seconds = seconds
        self._started: dict[int, float] = {}
        self._has_message: set[int] = set()
        self._stream = 1
        self._left = b""
        self._deadline = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = struct.pack(">HI", _INITIAL_WINDOW, _MOST_WINDOW)
        window = struct.pack(">I", _MOST_WINDOW - _FIRST_WINDOW)
        transport_start = _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, window)
        self._transport.write(transport_start)
        self._deadline = time.perf_counter() + self._seconds
        for _ in range(self._at_once):
            self._call()

    def data_received(self, data: bytes) -> None:
        data, at = self._left + data, 0
        while len(data) - at >= _HEAD_BYTES:
            length_type, flags, stream = _HEAD.unpack_from(data, at)
            end = at + _HEAD_BYTES + (length_type >> 8)
            if end > len(data):
                break
            self._take(length_type & 0xFF, flags, stream, data[at + _HEAD_BYTES : end])
            at = end
        self._left = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        assert self._transport is not None
        if kind == _DATA and payload:
            self._has_message.add(stream)
        elif kind == _HEADERS and flags & _END_STREAM:
            self._answered(stream)
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RST_STREAM, _GOAWAY):
            self._fail(f"frame {kind}: {payload!r}")

    def _answered(self, stream: int) -> None:
        now = time.perf_counter()
        self.latencies_us.append((now - self._started.pop(stream)) * 1e6)
        if stream not in self._has_message:
            self._fail("a call was refused")
            return
        self._has_message.discard(stream)
        if now < self._deadline:
            self._call()
        elif not self._started and not self.done.done():
            self.done.set_result(None)

    def _call(self) -> None:
        assert self._transport is not None
        stream, message = self._stream, self._next_request()
        self._stream += 2
        self._started[stream] = time.perf_counter()
        data = b"\0" + len(message).to_bytes(4, "big") + message
        self._transport.write(
            _frame(_HEADERS, _END_HEADERS, stream, self._headers) + _frame(_DATA, _END_STREAM, stream, data)
        )

    def _fail(self, what: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(what))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def _header_block(path: str) -> bytes:
    """Each time the same: literals that are not indexed, so there is no state to be kept."""
    literal = [(":path", path), (":authority", "localhost"), ("te", "trailers"), ("content-type", "application/grpc")]
    return _INDEXED_POST + _INDEXED_HTTP + b"".join(b"\0" + _text(name) + _text(value) for name, value in literal)


def _text(text: str) -> bytes:
    """Shorter than 127 bytes, without Huffman's code."""
    return bytes([len(text)]) + text.encode()


async def load(
    host: str, port: int, path: str, next_request: Callable[[], bytes], *, at_once: int, seconds: float
) -> tuple[float, "array[float]"]:
    """The seconds that it took, and a latency a call in microseconds.

    Raises:
        RuntimeError, OSError: a call was refused, or the connection was cut.

    """
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(
        lambda: Connection(path, next_request, at_once, seconds), host, port
    )
    try:
        await connection.done
    finally:
        transport.close()
    return time.perf_counter() - started, connection.latencies_us
