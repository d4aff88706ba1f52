"""Migrations: once each, in order, under a lock, and never a changed one."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from domain.errors import ConflictError
from migrations.runner import Migration, load_migrations, migrate_postgres, pending

FIRST = Migration("0001_one.sql", "a", "CREATE TABLE one (x int); INSERT INTO one VALUES (1)")
SECOND = Migration("0002_two.sql", "b", "INSERT INTO one VALUES (2)")


async def _rows(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    try:
        return [row["x"] for row in await connection.fetch("SELECT x FROM one ORDER BY x")]
    finally:
        await connection.close()


async def test_each_is_applied_once_and_in_order(empty_database: str) -> None:
    assert await migrate_postgres(empty_database, [FIRST]) == [FIRST.name]
    assert await migrate_postgres(empty_database, [FIRST, SECOND]) == [SECOND.name]
    assert await migrate_postgres(empty_database, [FIRST, SECOND]) == []
    assert await _rows(empty_database) == [1, 2]


async def test_many_at_once_apply_each_once(empty_database: str) -> None:
    applied = await asyncio.gather(*(migrate_postgres(empty_database, [FIRST, SECOND]) for _ in range(6)))
    assert sorted(applied) == [[]] * 5 + [[FIRST.name, SECOND.name]]
    assert await _rows(empty_database) == [1, 2]


async def test_one_that_fails_leaves_nothing_of_itself(empty_database: str) -> None:
    broken = Migration("0002_two.sql", "b", "INSERT INTO one VALUES (2); SELECT nonsense")
    with pytest.raises(asyncpg.PostgresError):
        await migrate_postgres(empty_database, [FIRST, broken])
    assert await _rows(empty_database) == [1]
    assert await migrate_postgres(empty_database, [FIRST, SECOND]) == [SECOND.name]


async def test_a_changed_file_is_refused(empty_database: str) -> None:
    await migrate_postgres(empty_database, [FIRST])
    with pytest.raises(ConflictError, match=r"0001_one\.sql was changed"):
        await migrate_postgres(empty_database, [replace(FIRST, checksum="other"), SECOND])
    assert await _rows(empty_database) == [1]


def test_a_database_of_another_history_is_refused() -> None:
    with pytest.raises(ConflictError, match="unknown to this version"):
        pending([FIRST], {FIRST.name: "a", "0002_three.sql": "c"})
    with pytest.raises(ConflictError, match="out of order"):
        pending([FIRST, SECOND], {SECOND.name: "b"})


async def test_the_real_ones_apply_to_an_empty_database(empty_database: str) -> None:
    names = [migration.name for migration in load_migrations("postgres")]
    assert await migrate_postgres(empty_database) == names
    assert await migrate_postgres(empty_database) == []
