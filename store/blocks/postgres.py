"""The block store on PostgreSQL: the embedded default."""

from collections.abc import AsyncIterator, Mapping, Sequence
from operator import attrgetter
from uuid import UUID

from domain.week import WEEKS_KEPT, WEEKS_PER_PARTITION, from_us, to_us
from store.blocks.protocol import Block, Fold, TokenRange, WeekMetadata, WeekSummary
from store.postgres import Connection, Pool, transaction, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store.blocks", "postgres.sql")
_PREFIX = "interaction_block_"
_EVERY_ACCOUNT = TokenRange(-1, 0)
_SUMMARIES_A_PAGE = 2_000
_ACCOUNTS_A_PAGE = 1_000

_key = attrgetter("account_id", "week", "block_id")


class PostgresBlockStore:
    """Blocks as rows of one table, in partitions of 8 weeks that are dropped whole."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self, blocks: Sequence[Block]) -> None:
        with translated_errors():
            await _write(self._pool, blocks)

    async def read(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["read"], account_id, first_week, last_week)
        return [Block(*row.values()) for row in rows]

    def ranges(self) -> list[TokenRange]:
        """One: this store places accounts by their ids, not by a hash."""
        return [_EVERY_ACCOUNT]

    async def survey(self, within: TokenRange, first_week: int, last_week: int) -> AsyncIterator[list[WeekSummary]]:
        assert within == _EVERY_ACCOUNT  # noqa: S101
        after = ("", -1)
        while True:
            with translated_errors():
                rows = await self._pool.fetch(_QUERIES["survey"], *after, first_week, last_week, _SUMMARIES_A_PAGE)
            yield [WeekSummary(*row.values()) for row in rows]
            if len(rows) < _SUMMARIES_A_PAGE:
                return
            after = (rows[-1]["account_id"], rows[-1]["week"])

    async def accounts(
        self, within: TokenRange, first_week: int, last_week: int, after: str | None = None
    ) -> AsyncIterator[list[str]]:
        """By their ids."""
        assert within == _EVERY_ACCOUNT  # noqa: S101
        while True:
            with translated_errors():
                rows = await self._pool.fetch(
                    _QUERIES["accounts"], after or "", first_week, last_week, _ACCOUNTS_A_PAGE
                )
            yield [row["account_id"] for row in rows]
            if len(rows) < _ACCOUNTS_A_PAGE:
                return
            after = rows[-1]["account_id"]

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        return await self.read(account_id, first_week, last_week)

    async def fold(self, folds: Sequence[Fold]) -> None:
        """All of them in one transaction, in the order of their keys, so that two at once never deadlock."""
        ordered = sorted(folds, key=lambda fold: (fold.metadata.account_id, fold.metadata.week))
        removed = [
            (fold.metadata.account_id, fold.metadata.week, block_id)
            for fold in ordered
            for block_id in sorted(fold.removed)
        ]
        async with transaction(self._pool) as connection:
            await _write_metadata(connection, [fold.metadata for fold in ordered])
            await _write(connection, [block for fold in ordered for block in fold.added])
            await connection.execute(_QUERIES["remove"], *([row[place] for row in removed] for place in range(3)))

    async def erase(self, account_id: str, removed: Mapping[int, Sequence[UUID]], added: Sequence[Block]) -> None:
        rows = [(account_id, week, block_id) for week in sorted(removed) for block_id in sorted(removed[week])]
        async with transaction(self._pool) as connection:
            await _write(connection, added)
            await connection.execute(_QUERIES["remove"], *([row[place] for row in rows] for place in range(3)))
            await connection.execute(_QUERIES["remove_metadata"], account_id, list(removed))

    async def metadata(self, account_id: str) -> list[WeekMetadata]:
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["read_metadata"], account_id)
        return [
            WeekMetadata(account_id, week, events, size, to_us(first_at), to_us(last_at))
            for week, events, size, first_at, last_at in (row.values() for row in rows)
        ]

    async def maintain(self, this_week: int) -> None:
        """Partitions from the oldest week in keep to the next 8 weeks; older ones go."""
        oldest = (this_week - WEEKS_KEPT) // WEEKS_PER_PARTITION
        newest = this_week // WEEKS_PER_PARTITION + 1
        with translated_errors():
            for slot in range(oldest, newest + 1):
                bounds = (str(slot * WEEKS_PER_PARTITION), str((slot + 1) * WEEKS_PER_PARTITION))
                await self._pool.fetchval(_QUERIES["make_partition"], _name(slot), *bounds)
            for row in await self._pool.fetch(_QUERIES["partitions"]):
                if row["name"] < _name(oldest):
                    await self._pool.execute(_QUERIES["drop_partition"], row["name"])
            await self._pool.execute(_QUERIES["forget_metadata"], oldest * WEEKS_PER_PARTITION)

    async def ping(self) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["ping"])


async def _write(connection: "Pool | Connection", blocks: Sequence[Block]) -> None:
    ordered = sorted(blocks, key=_key)
    await connection.execute(
        _QUERIES["write"],
        [block.account_id for block in ordered],
        [block.week for block in ordered],
        [block.block_id for block in ordered],
        [block.event_count for block in ordered],
        [block.data for block in ordered],
        [block.sealed for block in ordered],
    )


async def _write_metadata(connection: Connection, weeks: Sequence[WeekMetadata]) -> None:
    await connection.execute(
        _QUERIES["write_metadata"],
        [one.account_id for one in weeks],
        [one.week for one in weeks],
        [one.event_count for one in weeks],
        [one.byte_count for one in weeks],
        [from_us(one.first_at_us) for one in weeks],
        [from_us(one.last_at_us) for one in weeks],
    )


def _name(slot: int) -> str:
    return f"{_PREFIX}{slot:06}"
