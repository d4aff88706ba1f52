"""The registry of models in PostgreSQL: which were trained, and which one answers."""

from collections.abc import Collection

import asyncpg
import msgspec

from domain.errors import ConflictError
from domain.models import ModelVersion
from store.postgres import Pool, transaction, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "models.sql")
_decode_metrics = msgspec.json.Decoder(dict[str, float]).decode


class ModelRegistry:
    """At most one model is current. All methods raise TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def register(self, version: str, location: str, fingerprint: str, metrics: dict[str, float]) -> None:
        """Keeps a candidate; one that is there already stays as it is."""
        encoded = msgspec.json.encode(metrics).decode()
        with translated_errors():
            await self._pool.execute(_QUERIES["register"], version, location, fingerprint, encoded)

    async def refuse(self, version: str, reason: str) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["refuse"], version, reason)

    async def activate(self, version: str, reason: str | None = None) -> None:
        """Makes this the current one, in place of the other; again, it changes nothing.

        Raises:
            ConflictError: there is no such model, or its files were removed.

        """
        async with transaction(self._pool) as connection:
            await connection.execute(_QUERIES["retire_current"], version)
            await connection.execute(_QUERIES["activate"], version, reason)
            row = await connection.fetchrow(_QUERIES["one"], version)
            if row is None:
                raise ConflictError(f"there is no model {version!r}")
            if not row["location"]:
                raise ConflictError(f"the files of model {version!r} were removed: it is too old")

    async def roll_back(self, reason: str) -> ModelVersion:
        """Makes the model current that was before.

        Raises:
            ConflictError: none was.

        """
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["before"])
        if row is None:
            raise ConflictError("no other model has answered yet: there is nothing to go back to")
        before = _model(row)
        await self.activate(before.version, reason)
        return before

    async def current(self) -> ModelVersion | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["current"])
        return None if row is None else _model(row)

    async def served(self) -> list[ModelVersion]:
        """What is to be loaded to answer with: the current one first, then those that running experiments name."""
        with translated_errors():
            return [_model(row) for row in await self._pool.fetch(_QUERIES["served"])]

    async def known(self, versions: Collection[str]) -> set[str]:
        """Those of the versions that there are, and whose files were not removed."""
        with translated_errors():
            return {row["version"] for row in await self._pool.fetch(_QUERIES["known"], list(versions))}

    async def newest(self, limit: int) -> list[ModelVersion]:
        with translated_errors():
            return [_model(row) for row in await self._pool.fetch(_QUERIES["newest"], limit)]

    async def give_up(self, newest: int) -> list[str]:
        """Lets no one switch any more to models whose files are not worth their room; those models.

        The current one stays, the one before it, so many of the newest, and those of experiments that have not ended.
        """
        with translated_errors():
            return [row["version"] for row in await self._pool.fetch(_QUERIES["give_up"], newest)]

    async def files(self) -> dict[str, bool]:
        """All versions, and whether their files are still to be there."""
        with translated_errors():
            return {row["version"]: row["there"] for row in await self._pool.fetch(_QUERIES["files"])}


def _model(row: asyncpg.Record) -> ModelVersion:
    fields = dict(row.items())
    return ModelVersion(**{**fields, "metrics": _decode_metrics(fields["metrics"])})
