"""The file formats: each turns the text of one line into an interaction, an item or a user, or says why it can't."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain.errors import InvalidInputError
from domain.event_types import rating_type
from domain.interaction import PRODUCT
from domain.week import to_us
from runtime.importing.columns import cells, present
from runtime.importing.movielens import parse_movie, parse_u_item, parse_u_user
from runtime.importing.rows import BadRowError
from runtime.posting import INTERACTIONS, ITEMS, USERS, Route


class Parsed(NamedTuple):
    fields: dict[str, Any]
    occurred_at_us: int | None
    event_id: str | None = None


class LineFormat(NamedTuple):
    name: str
    """One word, or two: that of several files of one data set, and which of them."""
    parse: Callable[[str], Parsed]
    """Raises BadRowError."""
    is_header: Callable[[str], bool]
    """Whether the first line with text is a header."""
    route: Route = INTERACTIONS
    may_be_latin_1: bool = False
    """Lines that are not UTF-8 are Latin-1, then."""


_EARLIEST_US = to_us(datetime(1, 1, 2, tzinfo=UTC))
_LATEST_US = to_us(datetime(9999, 12, 30, tzinfo=UTC))

_SHOP_EVENTS = {"view": "view", "addtocart": "add_to_cart", "transaction": "purchase"}
_BEST_RATING = 5.0

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text: Callable[[msgspec.Raw], str | None] = msgspec.json.Decoder(str | None).decode


def _parse_json(text: str) -> Parsed:
    # Values stay the bytes that they are, so that numbers of any size and precision survive.
    try:
        fields: dict[str, Any] = dict(_decode_object(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRowError(f"not a JSON object: {error}") from None
    event_id = _text(fields, "event_id")
    if event_id is not None:
        try:
            event_id = str(UUID(event_id))
        except ValueError:
            raise BadRowError(f"event_id {event_id!r} is not a UUID") from None
    occurred_at = _text(fields, "occurred_at")
    return Parsed(fields, None if occurred_at is None else _moment(occurred_at), event_id)


def _text(fields: dict[str, Any], name: str) -> str | None:
    raw = fields.pop(name, None)
    if raw is None:
        return None
    try:
        return _decode_text(raw)
    except msgspec.DecodeError:
        raise BadRowError(f"{name} is not a string") from None


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRowError(f"occurred_at {text!r} is not an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise BadRowError(f"occurred_at {text!r} has no time zone")
    return _possible(to_us(moment), text)


def _parse_retailrocket(text: str) -> Parsed:
    values = cells(text)
    if len(values) not in (4, 5):
        raise BadRowError(f"{len(values)} columns, expected timestamp,visitorid,event,itemid,transactionid")
    timestamp, visitor, event, item = (value.strip() for value in values[:4])
    occurred_at_us = _whole(timestamp, "timestamp", 1_000)
    event_type = _SHOP_EVENTS.get(event)
    if event_type is None:
        raise BadRowError(f"event {event!r} is none of {', '.join(_SHOP_EVENTS)}")
    fields = _fields(present(visitor, "visitorid"), event_type, present(item, "itemid"))
    order = values[4].strip() if len(values) > 4 else ""  # noqa: PLR2004  (the fifth column)
    if order:
        fields["metadata"] = {"order_id": order}
    return Parsed(fields, occurred_at_us)


def _parse_ratings(text: str) -> Parsed:
    values = [value.strip() for value in text.split("\t" if "\t" in text else ",")]
    if len(values) != 4:  # noqa: PLR2004  (user, item, rating, time)
        raise BadRowError(f"{len(values)} columns, expected user, item, rating and seconds, tabs or commas between")
    user, item, rating, seconds = values
    occurred_at_us = _whole(seconds, "time", 1_000_000)
    return Parsed(_fields(present(user, "user"), _rating_type(rating), present(item, "item")), occurred_at_us)


def _rating_type(text: str) -> str:
    try:
        rating = float(text)
    except ValueError:
        rating = math.nan
    if not 0 <= rating <= _BEST_RATING:
        raise BadRowError(f"rating {text!r} is not a number from 0 to 5")
    return rating_type(rating)


def _fields(account_id: str, event_type: str, product_id: str) -> dict[str, Any]:
    return {"account_id": account_id, "event_type": event_type, "ref_type": PRODUCT, "ref_id": product_id}


def _whole(text: str, name: str, unit_us: int) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20):  # noqa: PLR2004  (64 bits)
        raise BadRowError(f"{name} {text[:40]!r} is not a whole number")
    return _possible(int(text) * unit_us, text)


def _possible(moment_us: int, text: str) -> int:
    if not _EARLIEST_US <= moment_us <= _LATEST_US:
        raise BadRowError(f"time {text} is outside the years 1 to 9999")
    return moment_us


def _is_retailrocket_header(text: str) -> bool:
    return text.partition(",")[0].strip(' "').lower() == "timestamp"


def _is_ratings_header(text: str) -> bool:
    return text.strip(' "').lower().startswith("user") and not _parses(_parse_ratings, text)


def _is_movies_header(text: str) -> bool:
    return text.lower().startswith("movieid,")


def _no_header(_text: str) -> bool:
    return False


def _catalog(parse: Callable[[str], dict[str, Any]]) -> Callable[[str], Parsed]:
    return lambda text: Parsed(parse(text), None)


def _parses(parse: Callable[[str], Parsed], text: str) -> bool:
    try:
        parse(text)
    except BadRowError:
        return False
    return True


FORMATS = {
    one.name: one
    for one in (
        LineFormat("jsonl", _parse_json, _no_header),
        LineFormat("retailrocket", _parse_retailrocket, _is_retailrocket_header),
        LineFormat("movielens", _parse_ratings, _is_ratings_header),
        LineFormat("movielens u.item", _catalog(parse_u_item), _no_header, ITEMS, may_be_latin_1=True),
        LineFormat("movielens movies.csv", _catalog(parse_movie), _is_movies_header, ITEMS),
        LineFormat("movielens u.user", _catalog(parse_u_user), _no_header, USERS),
    )
}
_NAMES = list(dict.fromkeys(name.split()[0] for name in FORMATS))


def format_named(name: str, first_lines: list[str]) -> LineFormat:
    """The format of this name; where several files have it, the one that most of the first lines parse as."""
    named = [one for one in FORMATS.values() if name in (one.name, one.name.split()[0])]
    if not named:
        raise InvalidInputError(f"format {name!r} is none of {', '.join(_NAMES)}")
    return max(named, key=lambda one: _fitting(one, first_lines))


def guess_format(first_lines: list[str], name: str) -> LineFormat:
    """The format that most of the first lines parse as. `name` is the file's, for the message."""
    if not first_lines:
        raise InvalidInputError(f"{name} has no rows")
    best = max(FORMATS.values(), key=lambda one: _fitting(one, first_lines))
    if not _fitting(best, first_lines):
        raise InvalidInputError(
            f"{name}: its first lines are none of {', '.join(_NAMES)}; the first is {first_lines[0][:80]!r}. "
            "Name the format with --format."
        )
    return best


def _fitting(one: LineFormat, lines: list[str]) -> int:
    return sum(_parses(one.parse, text) for text in lines) + any(map(one.is_header, lines[:1]))
