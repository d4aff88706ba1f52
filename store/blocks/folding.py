"""Folding: an account's blocks of one week become sealed ones, oldest first, every interaction in them once."""

from collections.abc import Sequence
from uuid import UUID

from domain.block import decode_block, encode_block, time_span
from domain.ids import derive_id
from domain.interaction import Interaction
from store.blocks.protocol import Block, Fold, WeekMetadata, WeekSummary

SEALED_EVENTS = 4_000
"""A sealed block of so many interactions is full and is not folded again: a fold's work is bounded by what is new."""

_SEALED_LEVEL = 9  # written once, read for 24 weeks


def is_due(summary: WeekSummary, this_week: int, busy_blocks: int) -> bool:
    """Whether to fold: a past week with a delta or with sealed blocks for one, the present week when it is busy."""
    deltas = summary.block_count - summary.sealed_count
    if summary.week >= this_week:
        return deltas >= busy_blocks
    return deltas > 0 or summary.event_count <= (summary.sealed_count - 1) * SEALED_EVENTS


def fold_week(blocks: Sequence[Block]) -> Fold | None:
    """The fold of an account's blocks of one week, or None where there is nothing to fold.

    The same blocks give the same fold, ids included: two compactions at once write the same rows.

    Raises:
        CorruptBlockError: a block can't be read; then none is folded.

    """
    full = [block for block in blocks if block.sealed and block.event_count >= SEALED_EVENTS]
    rest = [block for block in blocks if not (block.sealed and block.event_count >= SEALED_EVENTS)]
    if not any(not block.sealed for block in rest) and len(rest) < 2:  # noqa: PLR2004
        return None
    removed = sorted(block.block_id for block in rest)
    added = _seal(rest[0].account_id, rest[0].week, _merge(rest), removed)
    return Fold(added, removed, _metadata([*full, *added]))


def _merge(blocks: Sequence[Block]) -> list[Interaction]:
    by_id = {one.event_id: one for block in blocks for one in decode_block(block.data, block.account_id)}
    return sorted(by_id.values(), key=_place)


def _seal(account_id: str, week: int, interactions: list[Interaction], removed: list[UUID]) -> list[Block]:
    """Cut where a block is full."""
    cuts = range(0, len(interactions), SEALED_EVENTS)
    key = (account_id.encode(), week.to_bytes(8, "big", signed=True), *(one.bytes for one in removed))
    return [
        Block(
            account_id,
            week,
            UUID(bytes=derive_id(b"sealed", number.to_bytes(4, "big"), *key)),
            len(interactions[cut : cut + SEALED_EVENTS]),
            encode_block(interactions[cut : cut + SEALED_EVENTS], level=_SEALED_LEVEL),
            sealed=True,
        )
        for number, cut in enumerate(cuts)
    ]


def _metadata(blocks: Sequence[Block]) -> WeekMetadata:
    spans = [time_span(block.data) for block in blocks]
    return WeekMetadata(
        blocks[0].account_id,
        blocks[0].week,
        sum(block.event_count for block in blocks),
        sum(len(block.data) for block in blocks),
        min(first for first, _ in spans),
        max(last for _, last in spans),
    )


def _place(one: Interaction) -> tuple[int, bytes]:
    return one.occurred_at, one.event_id
