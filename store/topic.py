"""A topic that interactions are written to for others to read, whatever the broker behind it."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class TopicMessage(NamedTuple):
    key: bytes
    """What readers tell repeated messages by."""
    value: bytes
    headers: list[tuple[str, bytes]]


class Topic(Protocol):
    """Errors are TransientError, and PermanentError where the broker will never take what was written."""

    most_bytes: int
    """Of one message's value."""

    def check(self) -> None:
        """Fails at once where `write` would, because others try already whether the broker is back."""

    async def write(self, messages: Iterable[TopicMessage]) -> None:
        """Returns when the topic has them all. Of a call that fails or is cancelled, any part may get there."""
