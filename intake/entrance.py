"""The way in that all doors share: the bound on the backlog, the group commit, and what is counted of both."""

import time
from collections.abc import Sequence

from prometheus_client import Counter, Histogram

from domain.errors import TransientError
from intake.backlog import Backlog
from intake.commit import Accepted, GroupCommit
from intake.log import NewInteraction

# Not in intake.metrics, which processes without a door tell too.
ACCEPTED = Counter("footfall_interactions_accepted", "Interactions accepted.")
DUPLICATES = Counter("footfall_interactions_duplicate", "Interactions that were known already.")
COMMIT_SECONDS = Histogram(
    "footfall_commit_seconds",
    "From a valid request to its commit.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class BacklogFullError(TransientError):
    """Too much is accepted and not yet worked off; nothing of this was recorded."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too much is accepted and not yet worked off; send it again later.")
        self.retry_after_s = retry_after_s


class Entrance:
    def __init__(self, commit: GroupCommit, backlog: Backlog) -> None:
        self._commit = commit
        self.backlog = backlog

    async def record(self, events: Sequence[NewInteraction]) -> Accepted:
        """Records valid interactions, all or none; returns after their commit.

        Raises:
            BacklogFullError: none was recorded, and when they are likely to fit in.
            TransientError, CorruptBlockError: as `GroupCommit.submit`.

        """
        wait_s = self.backlog.retry_after_s(self._commit.waiting_events, len(events))
        if wait_s is not None:
            raise BacklogFullError(wait_s)
        started = time.perf_counter()
        accepted = await self._commit.submit(events)
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        self.backlog.added(accepted.accepted)
        ACCEPTED.inc(accepted.accepted)
        if accepted.duplicates:
            DUPLICATES.inc(accepted.duplicates)
        return accepted
