"""What goes together into one batch."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def packed(items: Iterable[T], events_of: Callable[[T], int], most_events: int) -> list[list[T]]:
    """The items in order, so many together as a batch holds; one that is larger by itself goes alone."""
    groups: list[list[T]] = []
    together = 0
    for item in items:
        events = events_of(item)
        if not groups or together + events > most_events:
            groups.append([])
            together = 0
        groups[-1].append(item)
        together += events
    return groups
