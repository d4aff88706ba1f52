"""What a block store can do, whatever the database behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Block:
    """Some interactions of one account in one week, encoded; see domain/block.py for the bytes."""

    account_id: str
    week: int
    block_id: UUID
    """A delta block has the id of the intake row that it comes from, so a retry writes the same row."""
    event_count: int
    data: bytes


class BlockStore(Protocol):
    """Keeps blocks. Its methods raise TransientError or PermanentError, and never answer with less than there is."""

    async def write(self, blocks: Sequence[Block]) -> None:
        """Keeps all blocks; writing one again changes nothing. No order, no reading before writing."""

    async def read(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        """The blocks of an account from `first_week` to `last_week`, both included, newest week first."""

    async def maintain(self, this_week: int) -> None:
        """Makes room for the weeks to come and drops what is out of keep."""

    async def ping(self) -> None:
        """Returns when the store answers."""
