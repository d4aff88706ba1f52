"""From lines of JSON (NDJSON) to the valid objects on them, or to everything that is wrong with which line.

A line has what a JSON body may have by itself, and the same rules hold for it.
"""

import json
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from api.bodies import Body, Look, Oddity, Parsed, odd_json, unprocessable
from api.problems import fault
from api.reading import ENCODED, JSON, NDJSON
from api.schemas import MAX_LINES
from api.turns import Turns

_M = TypeVar("_M", bound=BaseModel)

MAX_LINE_BYTES = 65_536
"""Ten times what the fields may have. It bounds the work that one line is: each unknown field on it is a fault."""

_MOST_LINES = 2 * MAX_LINES
"""With the blank ones."""

_MOST_FAULTS = 20
"""Of one line."""

_BYTES_AT_A_TURN = 65_536
_BYTES_FOR_A_LINE = 256
"""What a line costs beside its bytes, as so many of them."""


class Lines(Generic[_M]):
    """Reads what a body takes as one object, one on each line; blank lines are passed over."""

    def __init__(self, body: Body[_M]) -> None:
        self._body = body

    @property
    def openapi(self) -> dict[str, Any]:
        """The `requestBody` of the OpenAPI document: either lines, or the body."""
        of_body = self._body.openapi["content"]
        one = self._body.models[0]
        example = json.dumps(one.model_config["json_schema_extra"]["example"]) + "\n"  # type: ignore[index]
        described = f"1 to {MAX_LINES:,} lines, each a {one.__name__} as JSON."
        lines = {"schema": {"type": "string", "description": described}, "example": example}
        return {"required": True, "content": {JSON: of_body[JSON], NDJSON: lines}, "description": ENCODED}

    def parse(self, content: bytes, now_us: int) -> Turns[Parsed[_M]]:
        """All objects of a body, or what is wrong with which. `now_us` in microseconds since the Unix epoch.

        Raises:
            Problem: 422. There is none, or there are too many.

        """
        numbered = _numbered(content)
        parsed: Parsed[_M] = Parsed([], [], None, [number for number, _ in numbered])
        look = Look(now_us, for_nul=b"\\u0000" in content)
        spent = 0
        for index, (_, line) in enumerate(numbered):
            spent += len(line) + _BYTES_FOR_A_LINE
            if spent > _BYTES_AT_A_TURN:
                spent = 0
                yield
            self._read(index, line, look, parsed)
        return parsed

    def _read(self, index: int, line: bytes, look: Look, parsed: Parsed[_M]) -> None:
        if len(line) > MAX_LINE_BYTES:
            reason = f"{len(line)} bytes on this line, the limit is {MAX_LINE_BYTES}"
            parsed.faults.append(parsed.fault(index, [], reason))
            return
        try:
            one = self._body.one.validate_json(line)
        except ValidationError as error:
            found = list(_wrong(line, error))
        else:
            found = list(self._body.oddities(one, look))
            if not found:
                parsed.valid.append((index, one))
                return
        parsed.faults.extend(parsed.fault(index, path, reason) for path, reason in found[:_MOST_FAULTS])
        if len(found) > _MOST_FAULTS:
            parsed.faults.append(parsed.fault(index, [], f"and {len(found) - _MOST_FAULTS} more faults on this line"))


def _numbered(content: bytes) -> list[tuple[int, bytes]]:
    """The lines that are not blank, each with its number, counted from 1."""
    if content.count(b"\n") > _MOST_LINES:
        raise unprocessable([fault("#", f"over {_MOST_LINES} lines")])
    lines = [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line and not line.isspace()]
    if not lines:
        raise unprocessable([fault("#", "no line has anything on it")])
    if len(lines) > MAX_LINES:
        raise unprocessable([fault("#", f"{len(lines)} lines, the limit is {MAX_LINES}")])
    return lines


def _wrong(line: bytes, error: ValidationError) -> Iterator[Oddity]:
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        if one["type"] == "json_invalid":
            yield from odd_json(line, one["msg"]) or [([], one["msg"].replace(" at line 1 column ", " at column "))]
        else:
            yield list(one["loc"]), one["msg"]
