"""From lines of JSON (NDJSON) to the valid objects on them, or to everything that is wrong with which line.

A line has what a JSON body may have by itself, and the same rules hold for it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

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

_BYTES_AT_A_TURN = 512 * 1024
"""A thousand lines or so: as long as the longest list in JSON takes, which has no turns within."""
_BYTES_FOR_A_LINE = 256
"""What a line costs beside its bytes, as so many of them."""


class Lines(Generic[_M]):
    """Reads what a body takes as one object, one on each line; blank lines are passed over."""

    def __init__(self, body: Body[_M]) -> None:
        self._body = body
        self._validate = cast("Callable[[bytes], _M]", body.one.validator.validate_json)
        """Without what the adapter looks at first, which is a tenth of the whole."""

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
        numbers, lines = _numbered(content)
        parsed: Parsed[_M] = Parsed([], [], None, numbers)
        look = Look(now_us, for_nul=b"\\u0000" in content)
        at = 0
        for end in _turns(lines, len(content)):
            if at:
                yield
            self._read(at, lines[at:end], look, parsed)
            at = end
        return parsed

    def _read(self, first: int, lines: list[bytes], look: Look, parsed: Parsed[_M]) -> None:
        """Some lines, the first of which is at that index."""
        try:
            ones = list(map(self._validate, lines)) if max(map(len, lines)) <= MAX_LINE_BYTES else None
        except ValidationError:
            ones = None
        if ones is None:
            for index, line in enumerate(lines, first):
                self._read_one(index, line, look, parsed)
            return
        for index, one in enumerate(ones, first):
            found = list(self._body.oddities(one, look))
            if found:
                _tell(index, found, parsed)
            else:
                parsed.valid.append((index, one))

    def _read_one(self, index: int, line: bytes, look: Look, parsed: Parsed[_M]) -> None:
        if len(line) > MAX_LINE_BYTES:
            _tell(index, [([], f"{len(line)} bytes on this line, the limit is {MAX_LINE_BYTES}")], parsed)
            return
        try:
            one = self._validate(line)
        except ValidationError as error:
            found = list(_wrong(line, error))
        else:
            found = list(self._body.oddities(one, look))
            if not found:
                parsed.valid.append((index, one))
                return
        _tell(index, found, parsed)


def _tell(index: int, found: list[Oddity], parsed: Parsed[_M]) -> None:
    parsed.faults.extend(parsed.fault(index, path, reason) for path, reason in found[:_MOST_FAULTS])
    if len(found) > _MOST_FAULTS:
        parsed.faults.append(parsed.fault(index, [], f"and {len(found) - _MOST_FAULTS} more faults on this line"))


def _turns(lines: list[bytes], size: int) -> Iterator[int]:
    """Where to stop for others, and where it ends. `size` in bytes, of all lines."""
    if size + len(lines) * _BYTES_FOR_A_LINE <= _BYTES_AT_A_TURN:
        yield len(lines)
        return
    spent = 0
    for index, line in enumerate(lines):
        spent += len(line) + _BYTES_FOR_A_LINE
        if spent > _BYTES_AT_A_TURN and index:
            spent = 0
            yield index
    yield len(lines)


def _numbered(content: bytes) -> tuple[Sequence[int], list[bytes]]:
    """The lines that are not blank, and their numbers, counted from 1."""
    if content.count(b"\n") > _MOST_LINES:
        raise unprocessable([fault("#", f"over {_MOST_LINES} lines")])
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    numbers: Sequence[int] = range(1, len(lines) + 1)
    if not all(lines) or any(map(bytes.isspace, lines)):
        numbers = [number for number, line in enumerate(lines, 1) if line and not line.isspace()]
        lines = [lines[number - 1] for number in numbers]
    if not lines:
        raise unprocessable([fault("#", "no line has anything on it")])
    if len(lines) > MAX_LINES:
        raise unprocessable([fault("#", f"{len(lines)} lines, the limit is {MAX_LINES}")])
    return numbers, lines


def _wrong(line: bytes, error: ValidationError) -> Iterator[Oddity]:
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        if one["type"] == "json_invalid":
            yield from odd_json(line, one["msg"]) or [([], one["msg"].replace(" at line 1 column ", " at column "))]
        else:
            yield list(one["loc"]), one["msg"]
