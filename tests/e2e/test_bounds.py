"""What the server bounds of a request before anybody looks at it: with a real process, and sockets that misbehave."""

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.conftest import eventually
from tests.e2e.securing import client, running_api
from tests.factories import body
from tests.stack import Stack

PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Stack]:
    with running_api(
        stack,
        FOOTFALL_HEADER_TIMEOUT_S="1",
        FOOTFALL_REQUEST_TIMEOUT_S="2",
        FOOTFALL_MAX_HEADER_BYTES="4096",
        FOOTFALL_MAX_BODY_BYTES="65536",
    ) as running:
        yield running


def connected(api: Stack) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_S)
    made.settimeout(PATIENCE_S)
    return made


def until_closed(connection: socket.socket) -> bytes:
    """All that came before the server ended the connection; a timeout of the socket's is a failure."""
    got = b""
    try:
        while part := connection.recv(65_536):
            got += part
    except ConnectionResetError:
        pass
    return got


def trickled(connection: socket.socket, start: bytes, drop: bytes) -> bytes:
    """Sends a drop every tenth of a second until the server has had enough; what it said."""
    connection.sendall(start)
    deadline = time.monotonic() + PATIENCE_S
    connection.settimeout(0.1)
    got = b""
    while time.monotonic() < deadline:
        try:
            connection.sendall(drop)
            part = connection.recv(65_536)
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return got
        if not part:
            return got
        got += part
    raise AssertionError("the connection was left open")


HEAD = b"POST /interaction HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = b'{"account_id":"a","event_type":"view","ref_type":"Product","ref_id":"cup"}'


def test_who_says_nothing_is_cut_off(api: Stack) -> None:
    with closing(connected(api)) as connection:
        assert b" 408 " in until_closed(connection)


def test_headers_that_trickle_are_cut_off(api: Stack) -> None:
    with closing(connected(api)) as connection:
        assert trickled(connection, HEAD, b"X-A: b\r\n").startswith(b"HTTP/1.1 408 ")


def test_a_body_that_trickles_is_cut_off(api: Stack) -> None:
    with closing(connected(api)) as connection:
        said = trickled(connection, HEAD + b"Content-Length: 60000\r\n\r\n", b" ")
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in said


def test_a_chunked_body_that_trickles_is_cut_off(api: Stack) -> None:
    with closing(connected(api)) as connection:
        said = trickled(connection, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")
        assert said.startswith(b"HTTP/1.1 408 ")


def test_the_second_request_of_a_connection_may_not_trickle_either(api: Stack) -> None:
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE
    with closing(connected(api)) as connection:
        connection.sendall(request)
        assert b" 202 " in connection.recv(65_536)
        assert b" 408 " in trickled(connection, HEAD, b"X-A: b\r\n")


def test_who_does_not_read_is_cut_off(api: Stack) -> None:
    """Answers that nobody takes would stay in our memory."""
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(PATIENCE_S)
        connection.connect(("127.0.0.1", api.port))
        asking = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500
        deadline = time.monotonic() + PATIENCE_S
        with pytest.raises((ConnectionResetError, BrokenPipeError, TimeoutError)) as raised:
            while time.monotonic() < deadline:
                connection.sendall(asking)
                time.sleep(0.1)
        assert not isinstance(raised.value, TimeoutError)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /popularity/top?x=" + b"x" * 5_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /popularity/top HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"x" * 5_000 + b"\r\n\r\n",
        b"GET /popularity/top HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 101 + b"\r\n",
        b"GET /popularity/top HTTP/1.1\r\nHost: localhost\r\n" + b"X-%d: b\r\n" % 1 * 1_000 + b"\r\n",
    ],
    ids=["target", "one header", "count", "all together"],
)
def test_headers_that_are_too_large_are_refused(api: Stack, request_: bytes) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(request_)
        said = until_closed(connection)
        assert said.startswith(b"HTTP/1.1 431 "), said
        assert b"nosniff" in said


@pytest.mark.parametrize("start", [b"GET /", HEAD + b"X-A: "])
def test_headers_without_an_end_are_refused(api: Stack, start: bytes) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(start)
        try:
            for _ in range(200):
                connection.sendall(b"x" * 4_096)
        except (ConnectionResetError, BrokenPipeError):
            return
        assert b" 431 " in until_closed(connection)


def test_trailers_without_an_end_are_cut_off(api: Stack) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: ")
        sent = 0
        try:
            while sent < 50_000_000:
                connection.sendall(b"x" * 65_536)
                sent += 65_536
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 50_000_000


def test_trailers_are_no_headers(api: Stack) -> None:
    """They come after everybody has looked at the headers, or might."""
    chunked = b"%x\r\n%s\r\n0\r\nContent-Type: application/json\r\n\r\n" % (len(WHOLE), WHOLE)
    with closing(connected(api)) as connection:
        connection.sendall(
            b"POST /interaction HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n" + chunked
        )
        assert until_closed(connection).startswith(b"HTTP/1.1 415 ")


def test_what_is_no_http_is_a_problem_too(api: Stack) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00 this is TLS\r\n\r\n")
        said = until_closed(connection)
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in said


async def test_a_large_body_in_one_piece_is_not_taken_for_headers(api: Stack) -> None:
    async with client(api.url) as http:
        sent = {"interactions": [body(ref_id="x" * 100) for _ in range(300)]}
        assert (await http.post("/interaction", json=sent)).status_code == 202
        answer = await http.get("/popularity/top")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert "server" not in answer.headers


@pytest.mark.parametrize(("size", "status"), [(65_536, 422), (65_537, 413)])
async def test_compressed_bodies_are_unpacked_up_to_the_bound(api: Stack, size: int, status: int) -> None:
    async with client(api.url) as http:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        answer = await http.post("/interaction", content=gzip.compress(b"{}".ljust(size)), headers=headers)
        assert answer.status_code == status


async def test_cutting_off_is_counted_and_logs_no_stack(api: Stack) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(HEAD + b"Content-Length: 60000\r\n\r\n{")
        assert b" 408 " in until_closed(connection)
    async with client(api.url) as http:

        async def counted() -> None:
            assert (
                'footfall_requests_refused_total{reason="request_timeout",status="408"}'
                in (await http.get("/metrics")).text
            )

        await eventually(counted)
    assert "ClientDisconnect" not in (api.logs / "api.log").read_text()
