"""What uvicorn does not bound: how large the headers of a request are, and how long it may take to come.

A request that comes whole, as nearly all do, costs no timer.
"""

import asyncio
import socket
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from api.metrics import REFUSED
from api.problems import MEDIA_TYPE

MOST_HEADERS = 100
_WIRE_FOR_A_BYTE = 8
"""Chunks of one byte take six on the wire."""

SECURITY_HEADERS = [("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "frame-ancestors 'none'")]
"""On every answer, the server's own included: none is taken for what it is not, or shown within another page."""


class RequestBounds(NamedTuple):
    header_bytes: int
    """Of the target and the headers together."""
    body_bytes: int
    header_s: float
    request_s: float
    """From its headers to its end."""


class _BoundsError(Exception):
    """Raised within the parser, which then has the request refused."""


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's protocol with bounds.

    A connection is between requests, in the headers of one, or in its body; it may wait there only for so long.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: RequestBounds,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._most_wire_bytes = bounds.header_bytes + _WIRE_FOR_A_BYTE * bounds.body_bytes
        self._in_headers = self._in_body = False
        self._wire_bytes = 0
        """Of the request that has not all come, without what was read together with its beginning."""
        self._read = 0
        self._timer: asyncio.TimerHandle | None = None
        self._refusal = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self._bounds.header_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._read = len(data)
        if self._in_headers or self._in_body:
            self._wire_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or not (self._in_headers or self._in_body):
            return
        if self._wire_bytes > (self._bounds.header_bytes if self._in_headers else self._most_wire_bytes):
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if self._in_headers else None)
        elif self._timer is None:
            bound_s = self._bounds.header_s if self._in_headers else self._bounds.request_s
            self._timer = self.loop.call_later(bound_s, self._too_slow)

    def on_message_begin(self) -> None:
        self._in_headers, self._wire_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MOST_HEADERS or (
            self._wire_bytes + self._read > self._bounds.header_bytes
            and self._header_bytes() > self._bounds.header_bytes
        ):
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _BoundsError
        self._in_headers, self._in_body, self._wire_bytes = False, True, 0
        self._no_timer()
        super().on_headers_complete()
        self.headers = []  # for trailers, which must not join the headers that are being looked at

    def on_message_complete(self) -> None:
        self._in_body = False
        self._no_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (its own words are for its log)
        """What uvicorn calls for whatever the parser does not take, `_BoundsError` too."""
        self._refuse(self._refusal)

    def _header_bytes(self) -> int:
        return len(self.url) + sum(
            len(name) + len(value) + 4 for name, value in self.headers
        )  # `: ` and a line's end

    def _no_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._in_body and self.flow.read_paused:  # it is we who do not read
            self._timer = self.loop.call_later(self._bounds.request_s, self._too_slow)
            return
        is_answered = self._in_body and self.cycle.response_started
        self._refuse(None if is_answered else HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus | None) -> None:
        """Says why, and ends the connection; None: what it should say has been said, or can't be."""
        self._no_timer()
        if self.transport.is_closing():
            return
        if status is None:
            REFUSED.labels("cut_off", "").inc()
            self.transport.abort()
            return
        REFUSED.labels(status.phrase.lower().replace(" ", "_"), str(status.value)).inc()
        self.transport.write(_answer(status, self.server_state.default_headers))
        self.transport.close()


def _answer(status: HTTPStatus, headers: list[tuple[bytes, bytes]]) -> bytes:
    problem = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": status.description}
    body = msgspec.json.encode(problem)
    lines = [b"%s: %s\r\n" % one for one in headers]
    own = b"content-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (MEDIA_TYPE.encode(), len(body))
    return b"".join([STATUS_LINE[status], *lines, own, body])


def cut_off_readers(listening: socket.socket, after_s: float) -> None:
    """Has the kernel (Linux) end connections made from now on that leave what they were sent lying for so long."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(after_s * 1000))
