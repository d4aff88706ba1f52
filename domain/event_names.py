"""Names that shops' trackers have for what is done, and the event types that these are here."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from domain.errors import InvalidInputError

NameSet = Literal["ga4", "segment"]

EVENT_TYPE_PATTERN = r"^[a-z][a-z0-9_]*$"
MAX_EVENT_TYPE = 64

_MAX_NAME = 128
_SHIPPED = "event_names.toml"


def load_event_names(sets: Iterable[NameSet] = (), own: Path | None = None) -> dict[str, str]:
    """Name → event type, of the sets that ship and of the shop's own file, which is believed first.

    The file has `name = "event_type"`, and `name = false` for one that is to be taken as it comes.

    Raises:
        InvalidInputError: the file can't be read, isn't TOML, or has an entry that is neither; with the name of that.

    """
    shipped = tomllib.loads((resources.files("domain") / _SHIPPED).read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for one in sets:
        names.update(shipped[one])
    for name, event_type in _own(own).items():
        if event_type is False:
            names.pop(name, None)
        else:
            names[name] = event_type
    return names


def _own(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"FOOTFALL_EVENT_NAMES_FILE, {path}: {error}") from error
    for name, event_type in table.items():
        reason = _wrong(name, event_type)
        if reason is not None:
            raise InvalidInputError(f"FOOTFALL_EVENT_NAMES_FILE, {path}: {name!r}: {reason}")
    return table


def _wrong(name: str, event_type: object) -> str | None:
    if not 1 <= len(name) <= _MAX_NAME:
        return f"a name has 1 to {_MAX_NAME} characters"
    if event_type is False:
        return None
    if not isinstance(event_type, str):
        return f"expected an event type in quotes, or false, got {event_type!r}"
    if len(event_type) > MAX_EVENT_TYPE or not re.fullmatch(EVENT_TYPE_PATTERN[1:-1], event_type):
        return f"{event_type!r} can't be an event type: small letters, digits and _, at most {MAX_EVENT_TYPE}"
    return None
