"""The request size cap, before anything is parsed."""

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, problem_response

NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class LongestBodies:
    """In bytes, as they come and, where they are compressed, as they are unpacked."""

    json: int
    ndjson: int

    def of(self, scope: Scope) -> int:
        return self.ndjson if is_ndjson(scope) else self.json


class _TooLargeError(Exception):
    pass


class BodyLimit:
    """Answers 413 to a body over the longest: at once where Content-Length says so, else as it comes in."""

    def __init__(self, app: ASGIApp, *, longest: LongestBodies) -> None:
        self._app = app
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        longest = scope["state"]["longest_body"] = self._longest.of(scope)
        if (declared_length(scope) or 0) > longest:
            await _refuse(longest, scope, receive, send)
            return
        received, started = 0, False

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > longest:
                raise _TooLargeError
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted_receive, watched_send)
        except ClientDisconnect:
            return  # nobody is there to be answered; it is nothing that we did wrong
        except _TooLargeError:
            if started:
                raise
            await _refuse(longest, scope, receive, send)


async def _refuse(longest: int, scope: Scope, receive: Receive, send: Send) -> None:
    """The server reads on and throws away what still comes: a cut connection would hide the answer."""
    problem = Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is over {longest} bytes; send fewer at once.",
    )
    await problem_response(Request(scope), problem)(scope, receive, send)


def is_ndjson(scope: Scope) -> bool:
    """Whether it says that its body is lines of JSON."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type: bytes = value.partition(b";")[0].strip().lower()
            return media_type == NDJSON.encode()
    return False


def declared_length(scope: Scope) -> int | None:
    """Of the body, as Content-Length has it; None where that is not said, or no number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None
