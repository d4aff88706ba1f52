"""CQL migrations: the keyspace, each file once, under PostgreSQL's lock, and never a changed one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from domain.errors import ConflictError, InvalidInputError, PermanentError
from migrations.cql_runner import migrate_cql
from migrations.runner import Migration, load_migrations
from runtime.postgres_server import EmbeddedPostgres
from store.cql import CqlCluster, open_session
from tests.cql import in_keyspace

FIRST = Migration(
    "0001_one.cql",
    "a",
    "-- Two of them; this one has a comment.\n"
    "CREATE TABLE IF NOT EXISTS {keyspace}.one (x int PRIMARY KEY);  -- and one here\n"
    "INSERT INTO {keyspace}.one (x) VALUES (1);\n",
)
SECOND = Migration("0002_two.cql", "b", "INSERT INTO {keyspace}.one (x) VALUES (2);\n")


@pytest.fixture
async def empty(cql: CqlCluster) -> AsyncIterator[CqlCluster]:
    cluster = in_keyspace(cql, f"t{uuid4().hex}")
    yield cluster
    async with open_session(cluster) as session:
        await session.execute("DROP KEYSPACE IF EXISTS {keyspace}", profile="write")


async def _rows(cluster: CqlCluster) -> list[int]:
    async with open_session(cluster) as session:
        return sorted(row[0] for row in await session.execute("SELECT x FROM {keyspace}.one", profile="read"))


async def test_each_is_applied_once_and_in_order(empty: CqlCluster, postgres_server: EmbeddedPostgres) -> None:
    assert await migrate_cql(empty, postgres_server.url, [FIRST]) == [FIRST.name]
    assert await migrate_cql(empty, postgres_server.url, [FIRST, SECOND]) == [SECOND.name]
    assert await migrate_cql(empty, postgres_server.url, [FIRST, SECOND]) == []
    assert await _rows(empty) == [1, 2]


async def test_many_at_once_apply_each_once(empty: CqlCluster, postgres_server: EmbeddedPostgres) -> None:
    applied = await asyncio.gather(*(migrate_cql(empty, postgres_server.url, [FIRST, SECOND]) for _ in range(3)))
    assert sorted(applied) == [[], [], [FIRST.name, SECOND.name]]


async def test_one_that_was_cut_short_is_run_again(empty: CqlCluster, postgres_server: EmbeddedPostgres) -> None:
    broken = replace(FIRST, text=FIRST.text + "SELECT nonsense;\n")
    with pytest.raises(PermanentError, match="SyntaxException"):
        await migrate_cql(empty, postgres_server.url, [broken])
    assert await migrate_cql(empty, postgres_server.url, [FIRST]) == [FIRST.name]
    assert await _rows(empty) == [1]


async def test_a_changed_file_is_refused(empty: CqlCluster, postgres_server: EmbeddedPostgres) -> None:
    await migrate_cql(empty, postgres_server.url, [FIRST])
    with pytest.raises(ConflictError, match=r"0001_one\.cql was changed"):
        await migrate_cql(empty, postgres_server.url, [replace(FIRST, checksum="other")])


async def test_more_copies_than_nodes_are_refused(empty: CqlCluster, postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises(
        InvalidInputError, match="SCYLLA_REPLICATION_FACTOR: 3, but data centre 'datacenter1' has 1 node"
    ):
        await migrate_cql(replace(empty, replication_factor=3), postgres_server.url)


async def test_an_unknown_data_centre_is_refused(empty: CqlCluster, postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises((InvalidInputError, Exception), match="nowhere"):
        await migrate_cql(replace(empty, local_dc="nowhere"), postgres_server.url)


async def test_the_real_ones_make_every_table(cql_cluster: CqlCluster, postgres_server: EmbeddedPostgres) -> None:
    assert await migrate_cql(cql_cluster, postgres_server.url) == []
    async with open_session(cql_cluster) as session:
        rows = await session.execute(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s",
            (cql_cluster.keyspace,),
            profile="read",
        )
        made = {name for (name,) in rows}
        assert {"blocks", "metadata", "schema_migration"} <= made
        assert [one.name for one in load_migrations("cql")] == ["0001_blocks.cql"]
