"""The fan-out into the block store: one delta block an account, week and intake row."""

from collections.abc import Iterator, Sequence
from typing import ClassVar
from uuid import UUID

from activities.fan_out import Resources
from domain.block import encode_block
from domain.interaction import Interaction
from domain.week import week_of
from intake.erasure import erased_rows
from intake.log import IntakeRow
from store.blocks.protocol import Block

_BLOCKS_A_WRITE = 2_000
# A delta is read until it is folded into a sealed block: quick to make counts more than small.
_DELTA_LEVEL = 1


class Persist:
    name: ClassVar[str] = "persist"

    def __init__(self, resources: Resources) -> None:
        self._pool = resources.pool
        self._log = resources.log
        self._blocks = resources.blocks

    async def apply(self, rows: Sequence[IntakeRow]) -> set[UUID]:
        done = await self._log.marked(self.name, [row.intake_id for row in rows])
        todo = [row for row in rows if row.intake_id not in done]
        chunk: list[Block] = []
        for row in todo:
            for block in delta_blocks(row):
                chunk.append(block)
                if len(chunk) >= _BLOCKS_A_WRITE:
                    await self._blocks.write(chunk)
                    chunk = []
        if chunk:
            await self._blocks.write(chunk)
        marked = await self._log.mark_alone(self.name, todo)
        await self._take_back([row for row in todo if row.intake_id not in marked])
        return marked

    async def _take_back(self, rows: Sequence[IntakeRow]) -> None:
        """Of rows that were gone when they were to be marked: what an erasure had taken out of them meanwhile."""
        if not rows:
            return
        by_id = {row.intake_id: row for row in rows}
        for intake_id, account_id in await erased_rows(self._pool, list(by_id)):
            mine = [one for one in by_id[intake_id].interactions if one.account_id == account_id]
            removed = {week: [intake_id] for _, week in _by_account_and_week(mine)}
            await self._blocks.erase(account_id, removed, [])

    async def probe(self, interactions: Sequence[Interaction]) -> None:
        """Without a write: a block's bytes may not change, and those of a part would be others."""
        for some in _by_account_and_week(interactions).values():
            encode_block(some, level=_DELTA_LEVEL)


def delta_blocks(row: IntakeRow) -> Iterator[Block]:
    """The blocks of an intake row, each oldest first; the same row gives the same blocks again."""
    for (account_id, week), interactions in _by_account_and_week(row.interactions).items():
        data = encode_block(interactions, level=_DELTA_LEVEL)
        yield Block(account_id, week, row.intake_id, len(interactions), data)


def _by_account_and_week(interactions: Sequence[Interaction]) -> dict[tuple[str, int], list[Interaction]]:
    groups: dict[tuple[str, int], list[Interaction]] = {}
    for one in interactions:
        groups.setdefault((one.account_id, week_of(one.occurred_at)), []).append(one)
    return groups
