"""As much HTTP/1.1 as a load generator needs: the bytes of requests, the head of an answer, one simple client."""

import asyncio

_BODILESS = frozenset({204, 304})


class MalformedAnswerError(Exception):
    """An answer that isn't HTTP/1.1 with a Content-Length."""


def post(host: str, path: str, body: bytes) -> bytes:
    """The bytes of a POST of JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


def get(host: str, path: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def parse_head(head: bytes) -> tuple[int, int]:
    """Status and length of the body. `head` goes up to the empty line.

    Raises:
        MalformedAnswerError: no status, or a body of unknown length.

    """
    if not head.startswith(b"HTTP/1.1 "):
        raise MalformedAnswerError(f"not HTTP/1.1: {head[:40]!r}")
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    try:
        status = int(head[9:12])
        if not found and status not in _BODILESS:
            raise MalformedAnswerError("no Content-Length")
        return status, int(rest.partition(b"\r\n")[0]) if found else 0
    except ValueError as error:
        raise MalformedAnswerError(f"{error}: {head[:40]!r}") from error


class Client:
    """One keep-alive connection, one request at a time: for probes and preparations, not for load."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, host: str, port: int) -> "Client":
        return cls(*await asyncio.open_connection(host, port, limit=2**24))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, length = parse_head(head[:-4])
        return status, await self._reader.readexactly(length)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()
