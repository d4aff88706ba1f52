"""What this package raises. httpx's own errors pass through where something is read."""

from collections.abc import Mapping
from typing import Any


class FootfallError(Exception):
    """All errors of this package."""


class InvalidInteractionError(FootfallError, ValueError):
    """It can't be written as JSON, or is larger than any request may be: it could never be sent."""


class QueueFullError(FootfallError):
    """As many interactions as are allowed wait for their acknowledgement; this one was not taken."""


class ClosedError(FootfallError):
    """The client is closed; the interaction was not taken."""


class AnswerError(FootfallError):
    """A read was answered with an error."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail', 'no detail')}")
        self.status = status
        self.problem = problem
        """RFC 9457 problem details; empty where the answer held none."""
