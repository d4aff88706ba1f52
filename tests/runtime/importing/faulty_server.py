"""A stand-in for the front door that fails as told: the real one can't be made to answer 503 on the third request."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Interaction = dict[str, Any]
_NAMES = {"POST /interaction?partial=true": "interactions", "PUT /items": "items", "PUT /users": "users"}


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """The connection is closed without an answer, before or after the interactions were recorded."""

    recorded: bool


@dataclass(frozen=True)
class Hang:
    """Never answers, and calls `then` once the request is there."""

    then: Callable[[], None]


Fault = Reply | Cut | Hang


class FaultyServer:
    """Records what it is sent, by event id and day as the real one does; `faults` come first, one a request."""

    def __init__(self) -> None:
        self.faults: deque[Fault | None] = deque()
        self.invalid: Callable[[Interaction], str | None] = lambda _: None
        self.requests: list[list[Interaction]] = []
        self.recorded: dict[tuple[str, str], Interaction] = {}
        self.stored: dict[str, dict[str, Any]] = {}
        self.max_body_bytes = 1024 * 1024
        self.at_once = self.most_at_once = 0
        self.url = ""
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, started: Callable[[asyncio.Event], None]) -> None:
        stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started(stop)
        async with server:
            await stop.wait()
            for writer in self._writers:
                writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length:")[2].split()[0])
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                body = await reader.readexactly(length)
                method, target, _ = head.split(" ", 2)
                answer = self._answer(_NAMES[f"{method} {target}"], body)
                self.at_once -= 1
                if answer is None:
                    break
                if isinstance(answer, Reply):
                    writer.write(_http(answer))
        self._writers.discard(writer)
        writer.transport.abort()

    def _answer(self, name: str, body: bytes) -> Fault | None:
        sent: list[Interaction] = json.loads(body)[name]
        self.requests.append(sent)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Hang):
            fault.then()
        if isinstance(fault, Reply | Hang):
            return fault
        if len(body) > self.max_body_bytes:
            return Reply(413, {"detail": f"The body is over {self.max_body_bytes} bytes."})
        if isinstance(fault, Cut) and not fault.recorded:
            return None
        answer = self._take(name, sent)
        return None if isinstance(fault, Cut) else answer

    def _take(self, name: str, sent: list[Interaction]) -> Reply:
        faults = {index: reason for index, one in enumerate(sent) if (reason := self.invalid(one))}
        errors = [
            {"index": index, "pointer": f"#/{name}/{index}/account_id", "reason": reason}
            for index, reason in faults.items()
        ]
        if name == "interactions":
            return self._record(sent, faults, errors)
        if faults:
            return Reply(422, {"detail": "all or nothing", "errors": errors})
        self.stored |= {one.get("item_id") or one["account_id"]: one for one in sent}
        return Reply(200, {"stored": len(sent)})

    def _record(self, sent: list[Interaction], faults: dict[int, str], errors: list[dict[str, Any]]) -> Reply:
        if len(faults) == len(sent):
            return Reply(422, {"detail": "none is valid", "errors": errors})
        valid = [one for index, one in enumerate(sent) if index not in faults]
        before = len(self.recorded)
        for one in valid:
            self.recorded.setdefault((one["occurred_at"][:10], one["event_id"]), one)
        accepted = len(self.recorded) - before
        counts = {"accepted": accepted, "duplicates": len(valid) - accepted, "rejected": len(faults)}
        return Reply(202, {**counts, "errors": errors, "event_ids": [one["event_id"] for one in valid]})


def _http(reply: Reply) -> bytes:
    content = json.dumps(reply.body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Said", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """In a thread with a loop of its own, so that commands which run a loop can be tried against it."""
    server = FaultyServer()
    ready = threading.Event()
    stops: list[Callable[[], object]] = []

    def started(stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        stops.append(partial(loop.call_soon_threadsafe, stop.set))
        ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(server.serve(started)))
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        stops[0]()
        thread.join(10)
