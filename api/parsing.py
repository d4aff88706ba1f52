"""From the bytes of POST /interaction to valid interactions, or to everything that is wrong with them."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from api.problems import Problem, fault, pointer
from api.schemas import MAX_METADATA_BYTES, InteractionIn, InteractionsIn, KnownMetadata
from domain.week import WEEKS_KEPT, to_us

_ONE = TypeAdapter(InteractionIn)
_MANY = TypeAdapter(InteractionsIn)
_KNOWN_METADATA = TypeAdapter(KnownMetadata)
_KNOWN_KEYS = frozenset(KnownMetadata.__annotations__)

MOST_AHEAD_US = 5 * 60 * 1_000_000
MOST_BACK_US = WEEKS_KEPT * 7 * 86_400 * 1_000_000

_STARTS_AS_MANY = re.compile(rb'\s*\{\s*"interactions"\s*:')

Fault = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parsed:
    """The valid interactions with their places in the request, and the faults of the others."""

    interactions: list[tuple[int, InteractionIn]]
    faults: list[Fault]

    @property
    def rejected(self) -> int:
        return len({one["index"] for one in self.faults})


@dataclass(frozen=True, slots=True)
class _Shape:
    """Whether the body was one interaction or many: it decides what pointers look like."""

    many: bool

    def path(self, index: int, path: Iterable[str | int]) -> str:
        return pointer(["interactions", index, *path] if self.many else path)


def parse(body: bytes, now_us: int) -> Parsed:
    """All interactions of a body, or what is wrong with which. `now_us` in microseconds since the Unix epoch.

    Raises:
        Problem: 400 when it isn't JSON; 422 when the whole can't be interactions.

    """
    shape = _Shape(_is_many(body))
    try:
        if shape.many:
            interactions = list(enumerate(_MANY.validate_json(body).interactions))
        else:
            interactions = [(0, _ONE.validate_json(body))]
    except ValidationError as error:
        return _parse_valid_ones(body, shape, error, now_us)
    return _check(_Check(shape, now_us, look_for_nul=b"\\u0000" in body), interactions, [])


def _is_many(body: bytes) -> bool:
    if b'"interactions"' not in body:
        return False
    if _STARTS_AS_MANY.match(body):
        return True
    try:
        whole = from_json(body)
    except ValueError:
        return False
    return isinstance(whole, dict) and "interactions" in whole


def _parse_valid_ones(body: bytes, shape: _Shape, error: ValidationError, now_us: int) -> Parsed:
    """The interactions that the validator found nothing wrong with, and its faults with the others."""
    faults = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        if one["type"] == "json_invalid":
            raise _not_json(body, one["msg"])
        path = one["loc"]
        if not shape.many:
            faults.append(fault(pointer(path), one["msg"], index=0))
        elif len(path) > 1 and isinstance(path[1], int):
            faults.append(fault(pointer(path), one["msg"], index=path[1]))
        else:
            raise _unprocessable([fault(pointer(path), one["msg"])])
    bad = {one["index"] for one in faults}
    sent = from_json(body)["interactions"] if shape.many else []
    good = [(index, one) for index, one in enumerate(sent) if index not in bad]
    interactions = [(index, _ONE.validate_json(to_json(one))) for index, one in good]
    return _check(_Check(shape, now_us, look_for_nul=True), interactions, faults)


@dataclass(frozen=True, slots=True)
class _Check:
    """How to look for what the validator has no rule for."""

    shape: _Shape
    now_us: int
    look_for_nul: bool

    def needed(self, one: InteractionIn) -> bool:
        return self.look_for_nul or one.metadata is not None or one.occurred_at is not None


def _check(check: _Check, interactions: list[tuple[int, InteractionIn]], faults: list[Fault]) -> Parsed:
    valid = []
    for index, one in interactions:
        found = list(_oddities(one, check.now_us)) if check.needed(one) else []
        if found:
            faults.extend(fault(check.shape.path(index, path), reason, index=index) for path, reason in found)
        else:
            valid.append((index, one))
    return Parsed(valid, sorted(faults, key=lambda one: one["index"]))


def _oddities(one: InteractionIn, now_us: int) -> Iterator[tuple[list[str | int], str]]:
    if one.occurred_at is not None:
        yield from _odd_time(to_us(one.occurred_at), now_us)
    for name in ("account_id", "session_id", "ref_id"):
        value = getattr(one, name)
        if value is not None and "\0" in value:
            yield [name], "NUL characters are not accepted"
    if one.metadata is None:
        return
    yield from _odd_values(one.metadata, ["metadata"])
    yield from _odd_known_metadata(one.metadata)
    size = len(metadata_text(one.metadata).encode("utf-8", "surrogatepass"))
    if size > MAX_METADATA_BYTES:
        yield ["metadata"], f"{size} bytes as JSON, the limit is {MAX_METADATA_BYTES}"


def _odd_time(occurred_at_us: int, now_us: int) -> Iterator[tuple[list[str | int], str]]:
    if occurred_at_us > now_us + MOST_AHEAD_US:
        yield ["occurred_at"], "over 5 minutes in the future"
    elif occurred_at_us < now_us - MOST_BACK_US:
        yield ["occurred_at"], f"over {WEEKS_KEPT} weeks ago"


def _odd_values(value: Any, path: list[str | int]) -> Iterator[tuple[list[str | int], str]]:
    match value:
        case str():
            if "\0" in value:
                yield path, "NUL characters are not accepted"
        case float():
            if not math.isfinite(value):
                yield path, "a number must be finite"
        case Mapping():
            for key, inner in value.items():
                if "\0" in key:
                    yield [*path, key], "NUL characters are not accepted"
                yield from _odd_values(inner, [*path, key])
        case list():
            for place, inner in enumerate(value):
                yield from _odd_values(inner, [*path, place])


def _odd_known_metadata(metadata: Mapping[str, Any]) -> Iterator[tuple[list[str | int], str]]:
    known = {key: metadata[key] for key in _KNOWN_KEYS & metadata.keys()}
    if not known:
        return
    try:
        _KNOWN_METADATA.validate_python(known)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            yield ["metadata", *one["loc"][:1]], one["msg"]


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Metadata as compact JSON, keys in the order sent."""
    return to_json(metadata).decode()


def _unprocessable(faults: list[Fault]) -> Problem:
    detail = "; ".join(f"{one['pointer']}: {one['reason']}" for one in faults[:3])
    if len(faults) > 3:  # noqa: PLR2004
        detail += f"; and {len(faults) - 3} more"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=faults)


def refuse(parsed: Parsed) -> Problem:
    """The 422 of a request with faults."""
    return _unprocessable(parsed.faults)


def _not_json(body: bytes, reason: str) -> Problem:
    """400, or 422 where it is JSON all the same, with a lone surrogate in a string (RFC 8259, section 8.2)."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return Problem(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {reason}", reason="not_json")
    faults = [fault(pointer(path), "lone surrogates are not accepted") for path in _lone_surrogates(whole, [])]
    return _unprocessable(faults or [fault("#", reason)])


def _lone_surrogates(value: Any, path: list[str | int]) -> Iterator[list[str | int]]:
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
