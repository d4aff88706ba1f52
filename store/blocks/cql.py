"""The block store on ScyllaDB or Cassandra: blind inserts, one partition an account, rows that end by TTL."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from cassandra import ConsistencyLevel
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

from domain.week import WEEKS_KEPT, week_start_us
from store.blocks.protocol import Block, Fold, TokenRange, WeekMetadata, WeekSummary
from store.cql import CqlSession, Profile, bigint_bytes, bound, int_bytes, text_bytes, uuids_bytes
from store.queries import load_queries

_QUERIES = load_queries("store.blocks", "cql.cql")

# A week's blocks live for as long as any of its moments is in keep, and one week longer, for clocks and late reads.
_WEEKS_LIVED = WEEKS_KEPT + 2
_LEAST_TTL_S = 86_400

# Cassandra warns of batches over 64 KiB by default and older ones refuse 50 kB: this many bytes of values a batch.
_BATCH_BYTES = 40_000
_BATCH_ROWS = 100
_ROW_BYTES = 64  # of a row beside its account and data: ids, numbers, the protocol's lengths
_BATCHES_AT_ONCE = 16
_UUID_BYTES = 20  # with its length
_IDS_A_REMOVAL = 1_000

_SUMMARIES_A_PAGE = 2_000
_ACCOUNTS_A_PAGE = 1_000
_MOST_RANGES = 1_024
_FIRST_TOKEN, _LAST_TOKEN = -(2**63), 2**63 - 1


class _Unit(NamedTuple):
    """Writes to one partition that go together: an account, the bytes of its values, statements."""

    account_id: str
    byte_count: int
    writes: Sequence[BoundStatement]


class CqlBlockStore:
    """Blocks as rows of their account's partition."""

    def __init__(self, session: CqlSession, statements: Mapping[str, PreparedStatement]) -> None:
        """For `prepared`, which gives the statements."""
        self._session = session
        self._statements = statements

    @classmethod
    async def prepared(cls, session: CqlSession) -> "CqlBlockStore":
        """A store whose statements the cluster knows.

        Raises:
            TransientError: the cluster does not answer.
            PermanentError: its tables are not there; `footfall migrate` makes them.

        """
        return cls(session, {name: await session.prepare(text) for name, text in _QUERIES.items()})

    async def write(self, blocks: Sequence[Block]) -> None:
        now_s = time.time()
        await self._write_all(
            _Unit(block.account_id, len(block.data), (self._insert(block, now_s),)) for block in blocks
        )

    async def read(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        return await self._read(account_id, first_week, last_week, "read")

    def ranges(self) -> list[TokenRange]:
        """The ring's ranges, neighbours joined where there are very many."""
        tokens = sorted(token.value for token in self._session.cluster.metadata.token_map.ring)
        joined = tokens[:: -(-len(tokens) // _MOST_RANGES)]
        bounds = sorted({_FIRST_TOKEN, *joined, _LAST_TOKEN})
        return [TokenRange(*pair) for pair in pairwise(bounds)]

    async def survey(self, within: TokenRange, first_week: int, last_week: int) -> AsyncIterator[list[WeekSummary]]:
        values = (*within, first_week, last_week)
        async for page in self._session.pages(self._statements["survey"], values, rows_a_page=_SUMMARIES_A_PAGE):
            yield [one for one in map(WeekSummary._make, page) if one.block_count > 1 or not one.sealed_count]

    async def accounts(
        self, within: TokenRange, first_week: int, last_week: int, after: str | None = None
    ) -> AsyncIterator[list[str]]:
        """By their tokens. Of any weeks: to look at these would be to read every row."""
        del first_week, last_week
        if after is None:
            values: tuple[object, ...] = tuple(within)
            statement = self._statements["accounts"]
        else:
            values = (after, within.end)
            statement = self._statements["accounts_after"]
        async for page in self._session.pages(statement, values, rows_a_page=_ACCOUNTS_A_PAGE):
            yield [account_id for (account_id,) in page]

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        """At the consistency of writes, so that it overlaps with every one of them."""
        return await self._read(account_id, first_week, last_week, "write")

    async def fold(self, folds: Sequence[Fold]) -> None:
        """What a batch does to one partition of a table is atomic and isolated: a fold is never cut in two."""
        now_s = time.time()
        await self._write_all(
            _Unit(fold.metadata.account_id, 0, (self._insert_metadata(fold.metadata, now_s),)) for fold in folds
        )
        await self._write_all(self._replacement(fold, now_s) for fold in folds)

    async def erase(self, account_id: str, removed: Mapping[int, Sequence[UUID]], added: Sequence[Block]) -> None:
        """On every replica, so that none that missed a deletion can bring it back, however late it is repaired."""
        now_s = time.time()
        for week, block_ids in removed.items():
            kept = [self._insert(block, now_s) for block in added if block.week == week]
            writes = [self._remove(account_id, week, some) for some in _parts(block_ids, _IDS_A_REMOVAL)]
            # In one batch, which is atomic in its partition, wherever something stays that a reader could miss.
            for some in [[*kept, *writes]] if kept else [[write] for write in writes]:
                batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.ALL)
                batch.is_idempotent = True
                for write in some:
                    batch.add(write)
                await self._session.execute(batch, profile="write")
            metadata = bound(self._statements["remove_metadata"], [text_bytes(account_id), int_bytes(week)])
            metadata.consistency_level = ConsistencyLevel.ALL
            await self._session.execute(metadata, profile="write")

    def _remove(self, account_id: str, week: int, block_ids: Sequence[UUID]) -> BoundStatement:
        return bound(self._statements["remove"], [text_bytes(account_id), int_bytes(week), uuids_bytes(block_ids)])

    async def metadata(self, account_id: str) -> list[WeekMetadata]:
        rows = await self._session.execute(self._statements["read_metadata"], (account_id,), profile="read")
        return [WeekMetadata(account_id, *row) for row in rows]

    async def maintain(self, this_week: int) -> None:
        """Nothing: rows end by their TTL."""

    async def ping(self) -> None:
        await self._session.execute(self._statements["ping"], profile="read")

    async def _read(self, account_id: str, first_week: int, last_week: int, profile: Profile) -> list[Block]:
        values = [text_bytes(account_id), int_bytes(first_week), int_bytes(last_week)]
        statement = bound(self._statements["read"], values)
        statement.fetch_size = None  # in one page: between two of them a fold could hide blocks from both
        rows = await self._session.execute(statement, profile=profile)
        return [
            Block(account_id, week, block_id, event_count, data, sealed == 1)
            for week, block_id, sealed, event_count, data in rows
        ]

    def _insert(self, block: Block, now_s: float) -> BoundStatement:
        values = [
            text_bytes(block.account_id),
            int_bytes(block.week),
            block.block_id.bytes,
            int_bytes(block.sealed),
            int_bytes(block.event_count),
            block.data,
            int_bytes(_ttl_s(block.week, now_s)),
        ]
        return bound(self._statements["write"], values)

    def _replacement(self, fold: Fold, now_s: float) -> _Unit:
        account_id, week = fold.metadata.account_id, fold.metadata.week
        inserts = [self._insert(block, now_s) for block in fold.added]
        remove = self._remove(account_id, week, fold.removed)
        byte_count = sum(len(block.data) for block in fold.added) + _UUID_BYTES * len(fold.removed)
        return _Unit(account_id, byte_count, [*inserts, remove])

    def _insert_metadata(self, one: WeekMetadata, now_s: float) -> BoundStatement:
        values = [
            text_bytes(one.account_id),
            int_bytes(one.week),
            int_bytes(one.event_count),
            bigint_bytes(one.byte_count),
            bigint_bytes(one.first_at_us),
            bigint_bytes(one.last_at_us),
            int_bytes(_ttl_s(one.week, now_s)),
        ]
        return bound(self._statements["write_metadata"], values)

    async def _write_all(self, units: Iterable[_Unit]) -> None:
        """In unlogged batches, some at a time; on the first error the others under way are waited for."""
        batches = self._batches(units)
        results = await asyncio.gather(
            *(self._send_each(batches) for _ in range(_BATCHES_AT_ONCE)), return_exceptions=True
        )
        for result in results:
            if result is not None:
                raise result

    async def _send_each(self, batches: Iterator[BatchStatement]) -> None:
        """Several of these share one iterator: each takes the next batch when its last one is done."""
        for batch in batches:
            await self._session.execute(batch, profile="write")

    def _batches(self, units: Iterable[_Unit]) -> Iterator[BatchStatement]:
        """Units of one replica set go together, for as long as they are few and small."""
        open_batches: dict[tuple[object, ...], _OpenBatch] = {}
        metadata = self._session.cluster.metadata
        keyspace = self._session.keyspace
        for unit in units:
            replicas = tuple(metadata.get_replicas(keyspace, unit.account_id.encode()))
            batch = open_batches.get(replicas)
            if batch is not None and not batch.takes(unit):
                yield batch.statement
                batch = None
            if batch is None:
                batch = open_batches[replicas] = _OpenBatch()
            batch.add(unit)
        for batch in open_batches.values():
            yield batch.statement


class _OpenBatch:
    """A batch that units are put into until it is full. An unlogged one: its partitions stand each for itself."""

    def __init__(self) -> None:
        self.statement = BatchStatement(BatchType.UNLOGGED)
        self.statement.is_idempotent = True
        self._bytes = self._rows = 0

    def takes(self, unit: _Unit) -> bool:
        return self._rows + len(unit.writes) <= _BATCH_ROWS and self._bytes + _unit_bytes(unit) <= _BATCH_BYTES

    def add(self, unit: _Unit) -> None:
        for write in unit.writes:
            self.statement.add(write)
        self._rows += len(unit.writes)
        self._bytes += _unit_bytes(unit)


def _parts(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _unit_bytes(unit: _Unit) -> int:
    return unit.byte_count + len(unit.writes) * (_ROW_BYTES + len(unit.account_id))


def _ttl_s(week: int, now_s: float) -> int:
    """Seconds from now to the end of a week's life; a block out of keep is kept a day, for whoever looks for it."""
    return max(int(week_start_us(week + _WEEKS_LIVED) / 1e6 - now_s), _LEAST_TTL_S)
