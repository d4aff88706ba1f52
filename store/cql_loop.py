"""The driver's sockets on our own event loop.

The driver's usual way is a thread for its sockets. Every answer then crosses threads twice, and the two fight for the
interpreter: whenever one lets go of it, to decompress or to send, it waits to have it back. Here requests go out and
answers come in on the loop that asked; only what blocks, opening connections and the driver's upkeep, is left in the
driver's threads. docs/decisions/0010 has the figures.

An implementation of the driver's extension point, `Cluster.connection_class`, like cassandra/io/libevreactor.py.
"""

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from cassandra.connection import Connection, ConnectionShutdown

_READ_BYTES = 262_144  # more than a TLS record: nothing stays behind where the loop does not see it
# What a socket without blocking says when it can't go on now; TLS has words of its own.
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class LoopConnection(Connection):  # type: ignore[misc]  # the driver has no types
    """A connection; `connections_on` makes the class for a loop."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    loop_thread: ClassVar[int]
    last_closed_s: ClassVar[float] = float("-inf")
    """When one of this loop's connections was closed, by time.monotonic()."""
    is_closed: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """In one of the driver's threads: this blocks until the socket is connected, with TLS shaken hands."""
        super().__init__(*args, **kwargs)
        self._outgoing: deque[bytes] = deque()
        self._flush_is_due = self._waits_to_write = False
        self._connect_socket()
        self._socket.setblocking(False)
        self._send_options_message()
        self._on_loop(self._start_reading)

    @classmethod
    def create_timer(cls, timeout: float, callback: Callable[[], None]) -> "_Timer":
        timer = _Timer(cls, callback)
        cls._on_loop(timer.start, timeout)
        return timer

    def push(self, data: bytes) -> None:
        """From any thread. Everything that is pushed in one turn of the loop goes out together."""
        self._outgoing.append(data)
        if not self._flush_is_due:  # it falls before the queue is emptied, so nothing is left behind
            self._flush_is_due = True
            if threading.get_ident() == self.loop_thread:
                self.loop.call_soon(self._flush)
            else:
                self._on_loop(self._flush)

    def close(self) -> None:
        """From any thread."""
        with self.lock:
            if self.is_closed:
                return
            self.is_closed = True
        type(self).last_closed_s = time.monotonic()
        self._on_loop(self._close_socket)
        if not self.is_defunct:
            cause = f": {self.last_error}" if self.last_error else ""
            self.error_all_requests(ConnectionShutdown(f"Connection to {self.endpoint} was closed{cause}"))
            self.connected_event.set()  # whoever waits for the connection to open

    def error_all_requests(self, exc: BaseException) -> None:
        """Never on the loop: the first request's error has the pool replaced, under a lock that is held while a new
        connection is opened, and that takes the loop.
        """
        if threading.get_ident() == self.loop_thread:
            self.loop.run_in_executor(None, super().error_all_requests, exc)
        else:
            super().error_all_requests(exc)

    @classmethod
    def _on_loop(cls, function: Callable[..., object], *args: Any) -> None:
        if threading.get_ident() == cls.loop_thread:
            function(*args)
        elif not cls.loop.is_closed():
            cls.loop.call_soon_threadsafe(function, *args)

    def _start_reading(self) -> None:
        if not self.is_closed:
            self.loop.add_reader(self._socket.fileno(), self._read)

    def _close_socket(self) -> None:
        descriptor = self._socket.fileno()
        self.loop.remove_reader(descriptor)
        self.loop.remove_writer(descriptor)
        self._socket.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except _NOT_NOW:
            return
        except OSError as error:
            self.defunct(error)
            return
        if data:
            self._iobuf.write(data)
            self.process_io_buffer()
        else:
            self.close()

    def _flush(self) -> None:
        self._flush_is_due = False
        if self.is_closed:
            return
        data = b"".join([self._outgoing.popleft() for _ in range(len(self._outgoing))])
        try:
            sent = self._socket.send(data)
        except _NOT_NOW:
            sent = 0
        except OSError as error:
            self.defunct(error)
            return
        if sent < len(data):
            self._outgoing.appendleft(data[sent:])  # before what was pushed meanwhile
        self._wait_to_write(wait=sent < len(data))

    def _wait_to_write(self, *, wait: bool) -> None:
        if wait == self._waits_to_write:
            return
        self._waits_to_write = wait
        if wait:
            self.loop.add_writer(self._socket.fileno(), self._flush)
        else:
            self.loop.remove_writer(self._socket.fileno())


def connections_on(loop: asyncio.AbstractEventLoop) -> type[LoopConnection]:
    """A class of connections for one event loop; to be called on it."""
    return type("LoopConnection", (LoopConnection,), {"loop": loop, "loop_thread": threading.get_ident()})


class _Timer:
    """Started on the loop; cancelled from any thread, perhaps before it was started."""

    def __init__(self, connections: type[LoopConnection], callback: Callable[[], None]) -> None:
        self._connections = connections
        self._callback: Callable[[], None] | None = callback
        self._handle: asyncio.TimerHandle | None = None

    def start(self, timeout: float) -> None:
        self._handle = self._connections.loop.call_later(timeout, self._run)

    def cancel(self) -> None:
        self._callback = None
        if self._handle is not None and threading.get_ident() == self._connections.loop_thread:
            self._handle.cancel()

    def _run(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()
