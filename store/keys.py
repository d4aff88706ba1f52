"""API keys in PostgreSQL: their digests, scopes, and times; never the keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from domain.access import NewKey, Scope
from domain.errors import ConflictError
from store.postgres import Pool, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "keys.sql")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    key_id: str
    name: str
    digest: bytes
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""


class KeyStore:
    """All methods raise TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, key: NewKey, name: str, scopes: Collection[Scope], expires_at: datetime | None) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["add"], key.key_id, name, key.digest, list(scopes), expires_at)

    async def all(self) -> Sequence[KeyRecord]:
        """Every key that was ever made, the oldest first."""
        with translated_errors():
            return [_record(row) for row in await self._pool.fetch(_QUERIES["all"])]

    async def revoke(self, key_id: str) -> None:
        """Raises ConflictError: there is no such key."""
        with translated_errors():
            found = await self._pool.fetchrow(_QUERIES["revoke"], key_id)
        if found is None:
            raise ConflictError(f"there is no key {key_id!r}: `footfall keys list` has their ids")

    async def used(self, key_ids: Collection[str]) -> None:
        """These were used just now."""
        with translated_errors():
            await self._pool.execute(_QUERIES["used"], list(key_ids))


def _record(row: asyncpg.Record) -> KeyRecord:
    fields = dict(row.items())
    return KeyRecord(**{**fields, "scopes": tuple(fields["scopes"])})
