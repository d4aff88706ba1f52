"""Applies numbered migration files once each, forward only, under a lock, refusing a file that changed.

No library that we know serves both asyncpg and CQL with plain files, so here is one small runner. What was
applied is kept in the database itself, with a SHA-256 of each file.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources

import asyncpg

from domain.errors import ConflictError

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.(sql|cql)")
_LOCK_KEY = 0x666F6F7466616C6C  # "footfall": an advisory lock of ours, held while migrating

_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name       text PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    checksum: str
    text: str


def load_migrations(kind: str) -> list[Migration]:
    """The migrations in migrations/<kind>/, in the order of their numbers.

    Raises:
        ConflictError: a file name is not NNNN_words, or numbers have a gap or repeat.

    """
    files = [file for file in (resources.files("migrations") / kind).iterdir() if not file.name.startswith("_")]
    migrations = []
    for number, file in enumerate(sorted(files, key=lambda file: file.name), start=1):
        matched = _FILE_NAME.fullmatch(file.name)
        if matched is None or int(matched[1]) != number:
            raise ConflictError(f"migrations/{kind}/{file.name}: expected a name that starts with {number:04}_")
        content = file.read_bytes()
        migrations.append(Migration(file.name, hashlib.sha256(content).hexdigest(), content.decode()))
    return migrations


def pending(migrations: list[Migration], applied: dict[str, str]) -> list[Migration]:
    """The migrations still to apply, given name → checksum of those that were.

    Raises:
        ConflictError: an applied file has changed or is missing, or one was skipped: the database and these
            files are of different histories.

    """
    known = {migration.name: migration for migration in migrations}
    for name, checksum in applied.items():
        if name not in known:
            raise ConflictError(f"migration {name} was applied to this database and is unknown to this version")
        if known[name].checksum != checksum:
            raise ConflictError(f"migration {name} was changed after it had been applied; add a new one instead")
    done = len(applied)
    if set(applied) != {migration.name for migration in migrations[:done]}:
        raise ConflictError("migrations were applied out of order")
    return migrations[done:]


async def migrate_postgres(url: str, migrations: list[Migration] | None = None) -> list[str]:
    """Brings the database at `url` up to date; the names of what was applied now, in order.

    Each migration is one transaction. Several processes may call this at once: one works, the others wait.

    Raises:
        ConflictError: see `pending`.

    """
    wanted = load_migrations("postgres") if migrations is None else migrations
    async with migration_lock(url) as connection:
        await connection.execute(_CREATE_HISTORY)
        rows = await connection.fetch("SELECT name, checksum FROM schema_migration")
        todo = pending(wanted, {row["name"]: row["checksum"] for row in rows})
        for migration in todo:
            async with connection.transaction():
                await connection.execute(migration.text)
                await connection.execute(
                    "INSERT INTO schema_migration (name, checksum) VALUES ($1, $2)",
                    migration.name,
                    migration.checksum,
                )
        return [migration.name for migration in todo]


@asynccontextmanager
async def migration_lock(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to this PostgreSQL that is the only one to hold the lock of those who migrate."""
    connection = await asyncpg.connect(url, server_settings={"application_name": "footfall migrate"})
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
        yield connection
    finally:
        await connection.close()
