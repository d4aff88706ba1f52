"""What a block store can do, whatever the database behind it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec


class Block(msgspec.Struct, frozen=True, gc=False):
    """Some interactions of one account in one week, encoded; see domain/block.py for the bytes.

    The bytes of a block id never change: whoever writes a block again writes the same row.
    """

    account_id: str
    week: int
    block_id: UUID
    """A delta has the id of the intake row that it comes from; a sealed block one derived from what it folds."""
    event_count: int
    data: bytes
    sealed: bool = False


class TokenRange(NamedTuple):
    """A part of all accounts, by the hash that the store places them by: after `start`, up to `end`."""

    start: int
    end: int


class WeekSummary(NamedTuple):
    """What a survey says of the blocks of one account and week."""

    account_id: str
    week: int
    block_count: int
    sealed_count: int
    event_count: int


@dataclass(frozen=True, slots=True)
class WeekMetadata:
    """What all blocks of one account and week hold together; times in microseconds since the Unix epoch."""

    account_id: str
    week: int
    event_count: int
    byte_count: int
    first_at_us: int
    last_at_us: int


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that take the place of others, all of one account and week."""

    added: Sequence[Block]
    """Sealed; between them they hold every interaction of `removed`."""
    removed: Sequence[UUID]
    metadata: WeekMetadata


class BlockReader(Protocol):
    """Answers for a block store. Its methods raise TransientError or PermanentError.

    It never answers with less than there is.
    """

    async def read(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        """The blocks of an account from `first_week` to `last_week`, both included, newest week first."""

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        """As `read`, and sure to see every write and fold that was acknowledged before."""

    async def ping(self) -> None:
        """Returns when the store answers."""


class BlockStore(BlockReader, Protocol):
    """Keeps blocks; errors as above."""

    async def write(self, blocks: Sequence[Block]) -> None:
        """Keeps all blocks; writing one again changes nothing. No order, no reading before writing."""

    def ranges(self) -> list[TokenRange]:
        """Ranges that hold every account once; each lives on one set of replicas."""

    def survey(self, within: TokenRange, first_week: int, last_week: int) -> AsyncIterator[list[WeekSummary]]:
        """The accounts and weeks of a range that have a delta, or more than one sealed block; in pages."""

    def accounts(
        self, within: TokenRange, first_week: int, last_week: int, after: str | None = None
    ) -> AsyncIterator[list[str]]:
        """The accounts of a range that have a block in these weeks, each once, in pages, in an order that stays.

        Others may be among them. With `after` it goes on behind that account.
        """

    async def fold(self, folds: Sequence[Fold]) -> None:
        """Does each fold whole or not at all, metadata first; a reader sees its blocks before or after it."""

    async def erase(self, account_id: str, removed: Mapping[int, Sequence[UUID]], added: Sequence[Block]) -> None:
        """Deletes blocks of an account, by week, for good: when this returns, every copy has them deleted.

        `added` hold what of these blocks stays; a reader sees one or the other. What compaction noted of these weeks
        goes too.
        """

    async def metadata(self, account_id: str) -> list[WeekMetadata]:
        """What compaction last wrote of an account's weeks, newest first."""

    async def maintain(self, this_week: int) -> None:
        """Makes room for the weeks to come and drops what is out of keep."""
