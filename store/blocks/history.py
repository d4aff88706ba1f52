"""An account's history: its blocks, decoded, merged and cut, newest first."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from domain.block import decode_block
from domain.interaction import Interaction
from domain.week import week_of
from store.blocks.protocol import Block, BlockReader

_place = attrgetter("occurred_at", "event_id")


@dataclass(frozen=True, slots=True)
class HistoryRange:
    """From `from_us` (included) to `to_us` (excluded), microseconds since the Unix epoch."""

    from_us: int
    to_us: int
    event_types: Collection[str] = ()
    """Only these, or all when empty."""
    before: tuple[int, bytes] | None = None
    """Only what is older than this moment and event id: where the page before ended."""
    fits: Callable[[Interaction], bool] | None = None
    """Only those, where a reader can't take all."""


async def read_history(store: BlockReader, account_id: str, wanted: HistoryRange, limit: int) -> list[Interaction]:
    """At most `limit` interactions, newest first; of the same moment, by event id, descending.

    Raises:
        CorruptBlockError: a block in the range can't be read; never an answer without it.

    """
    newest_us = wanted.to_us - 1 if wanted.before is None else min(wanted.to_us - 1, wanted.before[0])
    blocks = await store.read(account_id, week_of(wanted.from_us), week_of(newest_us))
    found: list[Interaction] = []
    for _, of_week in groupby(blocks, key=lambda block: block.week):
        found.extend(_of_week(of_week, wanted))
        if len(found) >= limit:
            break
    return found[:limit]


def _of_week(blocks: Iterator[Block], wanted: HistoryRange) -> list[Interaction]:
    """Blocks of a week may overlap (a sealed one and a delta folded into it): an event id counts once."""
    first, *others = (decode_block(block.data, block.account_id) for block in blocks)
    if others:
        by_id = {one.event_id: one for interactions in (first, *others) for one in interactions}
        first = sorted(by_id.values(), key=_place)
    if not _is_wanted_whole(first, wanted):
        first = [one for one in first if _matches(one, wanted)]
    first.reverse()
    return first


def _is_wanted_whole(ordered: list[Interaction], wanted: HistoryRange) -> bool:
    newest = ordered[-1]
    return (
        wanted.from_us <= ordered[0].occurred_at
        and newest.occurred_at < wanted.to_us
        and not wanted.event_types
        and wanted.fits is None
        and (wanted.before is None or _place(newest) < wanted.before)
    )


def _matches(one: Interaction, wanted: HistoryRange) -> bool:
    return (
        wanted.from_us <= one.occurred_at < wanted.to_us
        and (not wanted.event_types or one.event_type in wanted.event_types)
        and (wanted.before is None or _place(one) < wanted.before)
        and (wanted.fits is None or wanted.fits(one))
    )
