"""The block store on PostgreSQL: the embedded default."""

from collections.abc import Sequence

from domain.week import WEEKS_KEPT, WEEKS_PER_SLOT_TABLE
from store.blocks.protocol import Block
from store.postgres import Pool, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store.blocks", "postgres.sql")
_PREFIX = "interaction_block_"


class PostgresBlockStore:
    """Blocks as rows of one table, in partitions of 8 weeks that are dropped whole."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self, blocks: Sequence[Block]) -> None:
        ordered = sorted(blocks, key=lambda block: (block.account_id, block.week))
        with translated_errors():
            await self._pool.execute(
                _QUERIES["write"],
                [block.account_id for block in ordered],
                [block.week for block in ordered],
                [block.block_id for block in ordered],
                [block.event_count for block in ordered],
                [block.data for block in ordered],
            )

    async def read(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["read"], account_id, first_week, last_week)
        return [Block(*row.values()) for row in rows]

    async def maintain(self, this_week: int) -> None:
        """Partitions from the oldest week in keep to the next 8 weeks; older ones go."""
        oldest = (this_week - WEEKS_KEPT) // WEEKS_PER_SLOT_TABLE
        newest = this_week // WEEKS_PER_SLOT_TABLE + 1
        with translated_errors():
            for slot in range(oldest, newest + 1):
                bounds = (str(slot * WEEKS_PER_SLOT_TABLE), str((slot + 1) * WEEKS_PER_SLOT_TABLE))
                await self._pool.fetchval(_QUERIES["make_partition"], _name(slot), *bounds)
            for row in await self._pool.fetch(_QUERIES["partitions"]):
                if row["name"] < _name(oldest):
                    await self._pool.execute(_QUERIES["drop_partition"], row["name"])

    async def ping(self) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["ping"])


def _name(slot: int) -> str:
    return f"{_PREFIX}{slot:06}"
