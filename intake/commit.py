"""Group commit: requests that arrive while a commit is in flight share the next one."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.errors import FootfallError, TransientError
from intake.dispatch import Dispatcher
from intake.late import LateEvents
from intake.log import IntakeLog, NewInteraction
from intake.traces import NO_TRACES, Span, Traces

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one request's events; only after their commit."""

    accepted: int
    duplicates: int
    batch_id: UUID | None
    """The batch that carries the accepted ones; None when all were duplicates."""


@dataclass(slots=True)
class _Waiting:
    events: Sequence[NewInteraction]
    answer: "asyncio.Future[Accepted]"
    span: Span | None


class GroupCommit:
    """Commits requests in groups: at once when idle, else with whatever gathers during the commit in flight."""

    def __init__(
        self,
        log: IntakeLog,
        dispatcher: Dispatcher,
        late: LateEvents,
        *,
        max_events: int,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._log = log
        self._late = late
        self._dispatcher = dispatcher
        self._max_events = max_events
        self._traces = traces
        self._waiting: list[_Waiting] = []
        self._committer: asyncio.Task[None] | None = None
        self.waiting_events = 0

    async def submit(self, events: Sequence[NewInteraction]) -> Accepted:
        """Records the events of one request, all or none; returns after the commit.

        A caller that goes away does not take its events back: they may be committed already.

        Raises:
            TransientError: not durable now, or not known to be; the same ids may safely be sent again.
            CorruptBlockError: of a late event can't be known whether it came before.

        """
        in_blocks = await self._late.known(events)
        if not in_blocks:
            return await self._commit(events)
        fresh = [one for one in events if one.interaction.event_id not in in_blocks]
        accepted = await self._commit(fresh) if fresh else Accepted(0, 0, None)
        return replace(accepted, duplicates=accepted.duplicates + len(events) - len(fresh))

    async def _commit(self, events: Sequence[NewInteraction]) -> Accepted:
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(events, answer, self._traces.request()))
        self.waiting_events += len(events)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit_all(), name="group commit")
        return await answer

    async def drain(self) -> None:
        """Waits until everything that was submitted has its answer."""
        if self._committer is not None:
            await self._committer

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                await self._commit_group(self._next_group())
        finally:
            self._committer = None

    def _next_group(self) -> list[_Waiting]:
        size, taken = 0, 0
        for one in self._waiting:
            if taken and size + len(one.events) > self._max_events:
                break
            size += len(one.events)
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self.waiting_events -= size
        return group

    async def _commit_group(self, group: list[_Waiting]) -> None:
        firsts: dict[bytes, NewInteraction] = {}
        for one in group:
            for event in one.events:
                firsts.setdefault(event.interaction.event_id, event)
        batch = self._dispatcher.begin_flush()
        committed = 0
        try:
            traced = [one.span for one in group if one.span is not None]
            with self._traces.commit(traced, batch.batch_id) as commit:
                known = await self._log.append(batch.batch_id, list(firsts.values()))
            committed = len(firsts) - len(known)
            if commit is not None and committed:
                batch.traced.append(commit)
        except FootfallError as error:
            _refuse(group, error)
        except Exception as error:  # whatever it is, nobody may be left waiting
            _log.exception("a group commit failed in a way that nobody foresaw")
            _refuse(group, TransientError(f"not recorded: {type(error).__name__}"))
        else:
            _answer(group, known, batch.batch_id)
        finally:
            self._dispatcher.end_flush(batch, committed)


def _answer(group: list[_Waiting], known: set[bytes], batch_id: UUID) -> None:
    """Of the same id twice in a group the first one counts."""
    seen = set(known)
    for one in group:
        ids = [event.interaction.event_id for event in one.events]
        accepted = len(set(ids) - seen)
        seen.update(ids)
        if not one.answer.done():
            one.answer.set_result(Accepted(accepted, len(ids) - accepted, batch_id if accepted else None))


def _refuse(group: list[_Waiting], error: FootfallError) -> None:
    for one in group:
        if not one.answer.done():
            one.answer.set_exception(error)
