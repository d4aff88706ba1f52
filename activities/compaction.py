"""Compaction: surveys a token range, and folds what is due in it."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter

from temporalio import activity

from activities.failures import heartbeats
from activities.metrics import COMPACTED_BLOCKS, COMPACTED_INTERACTIONS, UNREADABLE_WEEKS
from domain.compaction import COMPACT_RANGE, PLAN_COMPACTION, CompactionPlan, CompactionResult, RangeInput
from domain.errors import CorruptBlockError
from domain.week import WEEKS_KEPT, to_us, week_of
from store.blocks.folding import fold_week, is_due
from store.blocks.protocol import Block, BlockStore, Fold, TokenRange, WeekSummary

_log = logging.getLogger(__name__)

# Read side by side, folded and written together: enough to keep a cluster's round trips from adding up.
_WEEKS_AT_ONCE = 128
# Of one go, so that a few huge accounts do not fill the memory.
_EVENTS_AT_ONCE = 100_000
# What is folded in one go, by the pace: short goes with pauses between leave readers their turn.
_GO_S = 0.05

pause = asyncio.sleep
_week = attrgetter("week")


class Compaction:
    """Safe beside writers and other compactions, and to be cut off anywhere; see `Fold` and `fold_week`."""

    def __init__(self, blocks: BlockStore, *, busy_blocks: int, events_a_second: int) -> None:
        self._blocks = blocks
        self._busy_blocks = busy_blocks
        self._events_a_second = events_a_second

    @activity.defn(name=PLAN_COMPACTION)
    async def plan(self, weeks_back: int) -> CompactionPlan:
        async with heartbeats():
            this_week = week_of(to_us(datetime.now(UTC)))
            first_week = this_week - min(weeks_back, WEEKS_KEPT)
            return CompactionPlan(first_week, this_week, [(one.start, one.end) for one in self._blocks.ranges()])

    @activity.defn(name=COMPACT_RANGE)
    async def compact(self, work: RangeInput) -> CompactionResult:
        """Folds what is due. Run again, it finds what an earlier attempt left."""
        async with heartbeats():
            pace = _Pace(work.events_a_second or self._events_a_second)
            done = CompactionResult(ranges=1)
            within = TokenRange(work.start, work.end)
            async for page in self._blocks.survey(within, work.first_week, work.this_week):
                due = [one for one in page if is_due(one, work.this_week, self._busy_blocks)]
                for some in _cut(due, pace.events_a_go):
                    one_more = await self._fold(some)
                    COMPACTED_BLOCKS.inc(one_more.blocks_before)
                    COMPACTED_INTERACTIONS.inc(one_more.events)
                    UNREADABLE_WEEKS.inc(one_more.unreadable)
                    done = done.plus(one_more)
                    await pace.wait(one_more.events)
            return done

    async def _fold(self, due: Sequence[WeekSummary]) -> CompactionResult:
        folds: list[Fold] = []
        done = CompactionResult()
        for account_id, week, blocks in await self._read(due):
            try:
                fold = fold_week(blocks)
            except CorruptBlockError as error:
                _log.error("the blocks of %r, week %d, are left alone: %s", account_id, week, error)
                done = done.plus(CompactionResult(unreadable=1, unreadable_named=[f"{account_id!r}: {error}"]))
                continue
            if fold is not None:
                folds.append(fold)
                done = done.plus(_result(fold, blocks))
            await asyncio.sleep(0)  # a fold is work for the processor: others take turns
        if folds:
            await self._blocks.fold(folds)
        return done

    async def _read(self, due: Sequence[WeekSummary]) -> list[tuple[str, int, list[Block]]]:
        """The blocks of each account and week, read once an account."""
        weeks: dict[str, list[int]] = {}
        for one in due:
            weeks.setdefault(one.account_id, []).append(one.week)
        reads = (self._blocks.read_exact(account, min(of_it), max(of_it)) for account, of_it in weeks.items())
        found = {
            (account_id, week): list(blocks)
            for account_id, read in zip(weeks, await asyncio.gather(*reads), strict=True)
            for week, blocks in groupby(read, key=_week)
        }
        return [(one.account_id, one.week, found.get((one.account_id, one.week), [])) for one in due]


class _Pace:
    """Lets so many events through in a second, on average."""

    def __init__(self, events_a_second: int) -> None:
        self._events_a_second = events_a_second
        self.events_a_go = min(int(events_a_second * _GO_S), _EVENTS_AT_ONCE)
        self._free_at = asyncio.get_running_loop().time()

    async def wait(self, events: int) -> None:
        """Returns when as much time has passed as these events may take."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - 1.0) + events / self._events_a_second
        await pause(max(0.0, self._free_at - now))


def _cut(due: list[WeekSummary], events_a_go: int) -> list[list[WeekSummary]]:
    """Each part as many as go together, or one that is larger by itself."""
    parts: list[list[WeekSummary]] = []
    events = 0
    for one in due:
        if not parts or events + one.event_count > events_a_go or len(parts[-1]) >= _WEEKS_AT_ONCE:
            parts.append([])
            events = 0
        parts[-1].append(one)
        events += one.event_count
    return parts


def _result(fold: Fold, blocks: Sequence[Block]) -> CompactionResult:
    """Counts what is folded; blocks that were full already stay out of it."""
    removed = set(fold.removed)
    folded = [block for block in blocks if block.block_id in removed]
    return CompactionResult(
        weeks_folded=1,
        events=sum(block.event_count for block in fold.added),
        blocks_before=len(folded),
        blocks_after=len(fold.added),
        bytes_before=sum(len(block.data) for block in folded),
        bytes_after=sum(len(block.data) for block in fold.added),
    )
