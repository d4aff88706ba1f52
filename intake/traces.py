"""Where the intake tells of requests that are traced. What traces is the process' matter; by default nothing does."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

Span = object
"""A span of whatever traces; for the intake to keep and hand back."""


@dataclass(frozen=True, slots=True)
class TracedCommit:
    """A group commit that has traced requests in it."""

    span: Span
    requests: Sequence[Span] = field(default_factory=tuple)


class Traces(Protocol):
    """Many requests share a commit and many commits a batch, so a span of the one can't simply be the parent of the
    other: both steps are told of all that are behind them.
    """

    def request(self) -> Span | None:
        """The span of the request that is being answered; None where it is not traced."""

    def commit(self, requests: Sequence[Span], batch_id: UUID) -> AbstractContextManager[TracedCommit | None]:
        """Inside, what is done is done for these requests."""

    def start(self, commits: Sequence[TracedCommit], batch_id: UUID) -> AbstractContextManager[None]:
        """Inside, the workflow is started that carries these commits."""


class NoTraces:
    def request(self) -> None:
        return None

    def commit(self, requests: Sequence[Span], batch_id: UUID) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def start(self, commits: Sequence[TracedCommit], batch_id: UUID) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


NO_TRACES = NoTraces()
