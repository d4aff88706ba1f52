"""A link to a server that can be held up or cut, for tests of what happens then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from store.postgres import Pool, create_pool

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SlowLink:
    """A TCP port of its own in front of a server, whose answers or requests can be held."""

    def __init__(self, connect: Callable[[], Awaitable[_Streams]]) -> None:
        self._connect = connect
        self._answers_pass, self._requests_pass = asyncio.Event(), asyncio.Event()
        self.let_go()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def hold(self) -> None:
        """Answers wait, requests do not."""
        self._answers_pass.clear()

    def hold_requests(self) -> None:
        self._requests_pass.clear()

    def let_go(self) -> None:
        self._answers_pass.set()
        self._requests_pass.set()

    def cut(self) -> None:
        """Ends every connection, as a server that dies."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await self._connect()
        self._writers |= {writer, there_writer}
        try:
            await asyncio.gather(
                self._copy(reader, there_writer, self._requests_pass),
                self._copy(there_reader, writer, self._answers_pass),
            )
        finally:
            self._writers -= {writer, there_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await passes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def slow_link(connect: Callable[[], Awaitable[_Streams]]) -> AsyncIterator[SlowLink]:
    link = SlowLink(connect)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        link.let_go()
        link.cut()
        server.close()


@asynccontextmanager
async def distant_postgres(url: str, timeout_s: float) -> AsyncIterator[tuple[Pool, SlowLink]]:
    """A pool of connections that go over a link; `url` is the embedded server's, which is at a socket."""
    server = urlsplit(url)
    query = parse_qs(server.query)
    socket = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
    async with slow_link(lambda: asyncio.open_unix_connection(socket)) as link:
        there = f"postgresql://postgres@127.0.0.1:{link.port}{server.path}?sslmode=disable"
        async with create_pool(there, name="distant", size=4, timeout_s=timeout_s) as pool:
            yield pool, link
