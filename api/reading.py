"""From a request to the bytes of its body: of which media type, unpacked, and within bounds."""

from http import HTTPStatus

from fastapi import Request

from api.encodings import TAKEN, coding_of, unpacked
from api.limits import NDJSON
from api.problems import Problem
from api.turns import in_turns

JSON = "application/json"

ENCODED = f"May be compressed: Content-Encoding {' or '.join(TAKEN)}."
"""For the `requestBody` of the OpenAPI document."""


def media_type(request: Request, *taken: str) -> str:
    """Which of these the body is of; nothing of it is read for that.

    Raises:
        Problem: 415. It is another, or compressed in a way that is not taken.

    """
    coding_of(request.headers.getlist("content-encoding"))
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent in taken:
        return sent
    said = f"not {sent}" if sent else "and there is no Content-Type"
    raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The body must be {' or '.join(taken)}, {said}.")


async def read_body(request: Request) -> bytes:
    """The body, unpacked where it is compressed.

    Raises:
        Problem: 400 or 413, as `unpacked`.

    """
    body = await request.body()
    coding = coding_of(request.headers.getlist("content-encoding"))
    if coding is None:
        return body
    return await in_turns(unpacked(coding, body, request.state.longest_body, request.state.admitted.grow))


__all__ = ["ENCODED", "JSON", "NDJSON", "media_type", "read_body"]
