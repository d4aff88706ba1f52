"""How much is under way at once in this process: what is over it is refused before anything is read of it.

Each kind of request has room of its own, so that a storm of one leaves the others be. What is let in waits for no
more than what was let in before it: so the bound on how much is under way is one on how long an answer takes, and on
memory.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.limits import LongestBodies, declared_length, is_ndjson
from api.problems import RETRY_AFTER_S, Problem, problem_response

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ALWAYS = ("/health/", "/metrics")
_WAITS_FOR_EACH = 10
_HELD_S = 1.0


@dataclass(slots=True)
class Room:
    """For one kind of request."""

    most_requests: int
    most_bytes: int
    """Of bodies. One request alone always fits."""
    requests: int = 0
    bytes: int = 0

    def enter(self, size: int) -> bool:
        if self.requests and (self.requests >= self.most_requests or self.bytes + size > self.most_bytes):
            return False
        self.requests += 1
        self.bytes += size
        return True

    def grow(self, size: int) -> bool:
        """Whether one that is in may have so many bytes more."""
        if self.requests > 1 and self.bytes + size > self.most_bytes:
            return False
        self.bytes += size
        return True

    def leave(self, size: int) -> None:
        self.requests -= 1
        self.bytes -= size


class _NoRoomError(Exception):
    pass


@dataclass(slots=True)
class Admitted:
    """One request that was let in."""

    room: Room
    size: int
    has_left: bool = False

    def grow(self, size: int) -> None:
        """Counts bytes that nobody declared: what comes of a compressed body. May be called before an answer begins;
        what it raises has the request refused by `Admission`.
        """
        if not self.room.grow(size):
            raise _NoRoomError
        self.size += size

    def leave(self) -> None:
        """Twice is once."""
        if not self.has_left:
            self.has_left = True
            self.room.leave(self.size)


class Admission:
    """Answers 503 with Retry-After where there is no room.

    Not at once: what comes again immediately then takes little of the processor, and what was let in has the rest. A
    connection that waits costs next to nothing.
    """

    def __init__(
        self, app: ASGIApp, *, most_requests: int, most_bytes: int, most_ndjson_bytes: int, longest: LongestBodies
    ) -> None:
        self._app = app
        self._longest = longest
        self.writes = Room(most_requests, most_bytes)
        self.ndjson = Room(most_requests, most_ndjson_bytes)
        self.reads = Room(most_requests, most_bytes)
        # They cost nothing but their connection until they are woken.
        self.waits = Room(_WAITS_FOR_EACH * most_requests, most_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_ALWAYS):
            await self._app(scope, receive, send)
            return
        room, size = self._room(scope)
        if not room.enter(size):
            await _refuse(scope, receive, send)
            return
        admitted = scope["state"]["admitted"] = Admitted(room, size)
        try:
            await self._app(scope, receive, send)
        except _NoRoomError:
            admitted.leave()
            await _refuse(scope, receive, send)
        finally:
            admitted.leave()

    def _room(self, scope: Scope) -> tuple[Room, int]:
        if scope["method"] not in _READS:
            size, lines = declared_length(scope), is_ndjson(scope)
            longest = self._longest.ndjson if lines else self._longest.json
            return self.ndjson if lines else self.writes, longest if size is None else min(size, longest)
        return (self.waits if b"wait=" in scope["query_string"] else self.reads), 0


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(_HELD_S)
    problem = Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "More is under way than can be answered soon; nothing of this was done. Send it again later.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
        reason="overload",
    )
    await problem_response(Request(scope), problem)(scope, receive, send)
