"""Which event types move popularity, by how much, and which counter each adds to."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from domain.errors import InvalidInputError

Counter = Literal["view", "purchase", "favorite", "cart", "review"]
COUNTERS: tuple[Counter, ...] = get_args(Counter)

SCORE_UNIT = Decimal("0.000001")
"""Scores are whole numbers of this unit, so that sums are exact in any order."""
UNITS_PER_POINT = int(1 / SCORE_UNIT)

_HIGH_FROM, _LOW_TO = 4, 2


@dataclass(frozen=True, slots=True)
class EventWeight:
    score_delta: int
    """In units of SCORE_UNIT."""
    counter: Counter | None


def load_event_weights(path: Path | None = None) -> dict[str, EventWeight]:
    """The table from `path`, or the one that ships with Footfall.

    Raises:
        InvalidInputError: the file can't be read, isn't TOML, or has an entry that is not a weight.

    """
    try:
        text = (path or resources.files("domain") / "event_types.toml").read_text(encoding="utf-8")
        table = tomllib.loads(text, parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"event types file {path}: {error}") from error
    return {event_type: _weight(event_type, entry) for event_type, entry in table.items()}


def _weight(event_type: str, entry: Any) -> EventWeight:
    if not isinstance(entry, Mapping) or not {"weight"} <= entry.keys() <= {"weight", "counter"}:
        raise InvalidInputError(f"event type {event_type}: expected {{ weight = …, counter = … }}, got {entry!r}")
    weight, counter = entry["weight"], entry.get("counter")
    if isinstance(weight, bool) or not isinstance(weight, int | Decimal) or not Decimal(weight).is_finite():
        raise InvalidInputError(f"event type {event_type}: weight {weight!r} is not a number")
    units = Decimal(weight) / SCORE_UNIT
    if units != units.to_integral_value():
        raise InvalidInputError(f"event type {event_type}: weight {weight} has more than six decimals")
    if counter is not None and counter not in COUNTERS:
        raise InvalidInputError(f"event type {event_type}: counter {counter!r} is none of {', '.join(COUNTERS)}")
    return EventWeight(int(units), counter)


def rating_type(rating: float) -> str:
    """The event type of a rating in stars: rating_high from 4, rating_low up to 2, between them rating_medium."""
    if rating >= _HIGH_FROM:
        return "rating_high"
    return "rating_low" if rating <= _LOW_TO else "rating_medium"
