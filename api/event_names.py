"""The names that this process takes for event types, whichever door they come by."""

from collections.abc import Mapping

_types: dict[str, str] = {}


def know_event_names(names: Mapping[str, str]) -> None:
    """What is sent under one of these names is from now on read as its event type."""
    _types.clear()
    _types.update(names)


def event_type_of(sent: object) -> object:
    """What was sent as event_type, or the type that it is a name for."""
    return _types.get(sent, sent) if type(sent) is str else sent
