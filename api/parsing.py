"""What an interaction has to keep to beyond its schema."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from api.bodies import NO_NUL, Body, Look, Oddity, odd_values
from api.schemas import (
    MAX_METADATA_BYTES,
    InteractionIn,
    InteractionsIn,
    KnownMetadata,
    OwnInteractionIn,
    OwnInteractionsIn,
)
from domain.week import WEEKS_KEPT, to_us

_KNOWN_METADATA = TypeAdapter(KnownMetadata)
_KNOWN_KEYS = frozenset(KnownMetadata.__annotations__)

MOST_AHEAD_US = 5 * 60 * 1_000_000
MOST_BACK_US = WEEKS_KEPT * 7 * 86_400 * 1_000_000

AHEAD = "over 5 minutes in the future"


def _oddities(one: InteractionIn, look: Look) -> Iterable[Oddity]:
    if look.for_nul or one.metadata is not None or one.occurred_at is not None:
        return _found(one, look.now_us)
    return ()  # as most are


INTERACTIONS = Body("interactions", InteractionIn, InteractionsIn, _oddities)
OWN_INTERACTIONS = Body("interactions", OwnInteractionIn, OwnInteractionsIn, _oddities)


def _found(one: InteractionIn, now_us: int) -> Iterator[Oddity]:
    if one.occurred_at is not None:
        yield from odd_time(to_us(one.occurred_at), now_us)
    for name in ("account_id", "session_id", "ref_id"):
        value = getattr(one, name)
        if value is not None and "\0" in value:
            yield [name], NO_NUL
    if one.metadata is None:
        return
    yield from odd_values(one.metadata, ["metadata"])
    yield from _odd_known_metadata(one.metadata)
    size = len(metadata_text(one.metadata).encode("utf-8", "surrogatepass"))
    if size > MAX_METADATA_BYTES:
        yield ["metadata"], f"{size} bytes as JSON, the limit is {MAX_METADATA_BYTES}"


def odd_time(occurred_at_us: int, now_us: int) -> Iterator[Oddity]:
    if occurred_at_us > now_us + MOST_AHEAD_US:
        yield ["occurred_at"], AHEAD
    elif occurred_at_us < now_us - MOST_BACK_US:
        yield ["occurred_at"], f"over {WEEKS_KEPT} weeks ago"


def _odd_known_metadata(metadata: Mapping[str, Any]) -> Iterator[Oddity]:
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
