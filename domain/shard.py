"""Which shard of a divided intake an account belongs to.

A shard is a whole Footfall with its own PostgreSQL. Its ledger meets a duplicate only if everything of an account
always comes to the same one: whoever sends has to divide as this does, and a shard that is told its number refuses
the rest.
"""

import hashlib
from dataclasses import dataclass

_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `of` shards, counted from 0."""

    number: int
    of: int

    def holds(self, account_id: str) -> bool:
        return shard_of(account_id, self.of) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_of(account_id: str, shards: int) -> int:
    """The number of the account's shard: the first 8 bytes of the SHA-256 of its UTF-8, big endian, modulo `shards`.

    Never to be changed: accounts would move away from what their shard knows of them.
    """
    return int.from_bytes(hashlib.sha256(account_id.encode()).digest()[:_DIGEST_BYTES]) % shards
