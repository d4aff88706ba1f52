"""A TCP link in front of PostgreSQL's socket that can be cut, slowed, or lose an answer after the work was done."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

_CHUNK = 65_536
_READY = b"Z\x00\x00\x00\x05I"  # ReadyForQuery, idle: whatever was asked is committed


class PostgresLink:
    """Runs on a loop in a thread of its own, so that the load does not slow it."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._writers: set[asyncio.StreamWriter] = set()
        self._delay_s = 0.0
        self._drop: dict[bytes, int] = {}
        self.dropped = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)

    def start(self) -> None:
        self._thread.start()
        serving = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = serving.result()
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._call(self._server.close)
        self.cut()
        self._call(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Ends every connection."""
        self._call(self._cut)

    def slow(self, delay_s: float) -> None:
        """Each packet of either direction comes so much later; 0 ends it."""
        self._call(lambda: setattr(self, "_delay_s", delay_s))

    def lose_answers(self, application: str, count: int) -> None:
        """The next so many answers to processes of this application name are lost, and their connections with them.

        What was asked has been done and committed by then.
        """
        self._call(lambda: self._drop.__setitem__(application.encode(), count))

    def heal(self) -> None:
        self.slow(0)
        self._call(self._drop.clear)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(self._socket_path)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        hello = await reader.read(_CHUNK)  # names the application
        there_writer.write(hello)
        try:
            await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer, answers_to=hello))
        finally:
            self._writers -= {writer, there_writer}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers_to: bytes | None = None
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if answers_to is not None and data.endswith(_READY) and self._loses(answers_to):
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        writer.close()

    def _loses(self, hello: bytes) -> bool:
        for application, left in self._drop.items():
            if left and application in hello:
                self._drop[application] = left - 1
                self.dropped += 1
                return True
        return False
