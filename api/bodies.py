"""From the bytes of a request to the valid objects in them, or to everything that is wrong with them."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from api.problems import Problem, fault, pointer
from api.reading import ENCODED, JSON

_M = TypeVar("_M", bound=BaseModel)
_V = TypeVar("_V")
_W = TypeVar("_W")

NO_NUL = "NUL characters are not accepted"

Fault = dict[str, Any]
Path = list[str | int]
Oddity = tuple[Path, str]
"""A place within one object, and what is wrong there."""


class Look(NamedTuple):
    """How to look for oddities: what the validator has no rule for."""

    now_us: int
    for_nul: bool
    """Whether a string may hold a NUL character; where the bytes have none, none does."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[_V]):
    """The valid objects with their places in the request, and the faults of the others."""

    valid: list[tuple[int, _V]]
    faults: list[Fault]
    list_name: str | None
    """Of the list that they came in; None where each came by itself."""
    lines: Sequence[int] | None = None
    """On which line each came, counted from 1; None where they did not come on lines."""

    @property
    def rejected(self) -> int:
        return len({one["index"] for one in self.faults})

    def turned(self, into: Callable[[_V], _W]) -> "Parsed[_W]":
        return Parsed([(index, into(one)) for index, one in self.valid], self.faults, self.list_name, self.lines)

    def fault(self, index: int, path: Sequence[str | int], reason: str) -> Fault:
        """What is wrong at a place in one of them."""
        where = pointer(path if self.list_name is None else [self.list_name, index, *path])
        return fault(where, reason, index=index, line=None if self.lines is None else self.lines[index])


class Body(Generic[_M]):
    """What a route takes: one object, or a list of them under `name`. No field of the one has that name."""

    def __init__(
        self,
        name: str,
        one: type[_M],
        many: type[BaseModel],
        oddities: Callable[[_M, Look], Iterable[Oddity]],
    ) -> None:
        self.models = (one, many)
        self.name = name
        self.one: TypeAdapter[_M] = TypeAdapter(one)
        self._many: TypeAdapter[Any] = TypeAdapter(many)
        self.oddities = oddities
        self._quoted = f'"{name}"'.encode()
        self._starts_as_many = re.compile(rb'\s*\{\s*"' + name.encode() + rb'"\s*:')

    @property
    def openapi(self) -> dict[str, Any]:
        """The `requestBody` of the OpenAPI document."""
        either = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in self.models]
        content = {JSON: {"schema": {"anyOf": either}}}
        return {"required": True, "content": content, "description": ENCODED}

    def parse(self, body: bytes, now_us: int) -> Parsed[_M]:
        """All objects of a body, or what is wrong with which. `now_us` in microseconds since the Unix epoch.

        Raises:
            Problem: 400 when it isn't JSON; 422 when the whole can't be what the route takes.

        """
        many = self._is_many(body)
        try:
            if many:
                sent: list[tuple[int, _M]] = list(enumerate(getattr(self._many.validate_json(body), self.name)))
            else:
                sent = [(0, self.one.validate_json(body))]
        except ValidationError as error:
            sent, faults = self._valid_ones(body, error, many=many)
            return self._checked(sent, faults, Look(now_us, for_nul=True), many=many)
        return self._checked(sent, [], Look(now_us, for_nul=b"\\u0000" in body), many=many)

    def _is_many(self, body: bytes) -> bool:
        if self._quoted not in body:
            return False
        if self._starts_as_many.match(body):
            return True
        try:
            whole = from_json(body)
        except ValueError:
            return False
        return isinstance(whole, dict) and self.name in whole

    def _valid_ones(
        self, body: bytes, error: ValidationError, *, many: bool
    ) -> tuple[list[tuple[int, _M]], list[Fault]]:
        """The objects that the validator found nothing wrong with, and its faults with the others."""
        faults = []
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            if one["type"] == "json_invalid":
                raise _not_json(body, one["msg"])
            path = one["loc"]
            if not many:
                faults.append(fault(pointer(path), one["msg"], index=0))
            elif len(path) > 1 and isinstance(path[1], int):
                faults.append(fault(pointer(path), one["msg"], index=path[1]))
            else:
                raise unprocessable([fault(pointer(path), one["msg"])])
        bad = {one["index"] for one in faults}
        sent = from_json(body)[self.name] if many else []
        good = [(index, one) for index, one in enumerate(sent) if index not in bad]
        return [(index, self.one.validate_json(to_json(one))) for index, one in good], faults

    def _checked(self, sent: list[tuple[int, _M]], faults: list[Fault], look: Look, *, many: bool) -> Parsed[_M]:
        parsed: Parsed[_M] = Parsed([], faults, self.name if many else None)
        for index, one in sent:
            found = list(self.oddities(one, look))
            if found:
                faults.extend(parsed.fault(index, path, reason) for path, reason in found)
            else:
                parsed.valid.append((index, one))
        faults.sort(key=lambda one: one["index"])
        return parsed


def odd_values(value: Any, path: Path) -> Iterator[Oddity]:
    """NUL characters and numbers that are not finite, wherever they are in a JSON value."""
    match value:
        case str():
            if "\0" in value:
                yield path, NO_NUL
        case float():
            if not math.isfinite(value):
                yield path, "a number must be finite"
        case Mapping():
            for key, inner in value.items():
                if "\0" in key:
                    yield [*path, key], NO_NUL
                yield from odd_values(inner, [*path, key])
        case list():
            for place, inner in enumerate(value):
                yield from odd_values(inner, [*path, place])


def unprocessable(faults: list[Fault]) -> Problem:
    """The 422 of a request with faults."""
    detail = "; ".join(f"{_place(one)}: {one['reason']}" for one in faults[:3])
    if len(faults) > 3:  # noqa: PLR2004
        detail += f"; and {len(faults) - 3} more"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=faults)


def _place(one: Fault) -> str:
    return f"line {one['line']}: {one['pointer']}" if "line" in one else one["pointer"]


def _not_json(body: bytes, reason: str) -> Problem:
    found = odd_json(body, reason)
    if found is None:
        return Problem(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {reason}", reason="not_json")
    return unprocessable([fault(pointer(path), odd) for path, odd in found])


def odd_json(text: bytes, reason: str) -> list[Oddity] | None:
    """What is wrong in JSON that the validator could not read for this reason; None where it is no JSON.

    It is JSON all the same with a lone surrogate in a string (RFC 8259, section 8.2).
    """
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found: list[Oddity] = [(path, "lone surrogates are not accepted") for path in _lone_surrogates(whole, [])]
    return found or [([], reason)]


def _lone_surrogates(value: Any, path: Path) -> Iterator[Path]:
    match value:
        case str():
            if any("\ud800" <= character <= "\udfff" for character in value):
                yield path
        case dict():
            for key, inner in value.items():
                yield from _lone_surrogates(key, [*path, key.encode(errors="replace").decode()])
                yield from _lone_surrogates(inner, [*path, key.encode(errors="replace").decode()])
        case list():
            for place, inner in enumerate(value):
                yield from _lone_surrogates(inner, [*path, place])
