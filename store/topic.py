"""A topic that interactions are written to for others to read, whatever the broker behind it."""

from collections.abc import Sequence
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

    async def write(self, messages: Sequence[TopicMessage]) -> None:
        """Returns when the topic has them all. Of a call that fails or is cancelled, any part may get there."""
