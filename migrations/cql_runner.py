"""The same for ScyllaDB and Cassandra: the keyspace where it is missing, then each migration once.

CQL has no transactions around schema changes and no lock, and tables that are made twice at the same time can leave a
cluster with two versions of a table. So PostgreSQL's migration lock is held, and every statement of a migration can
be run again: one that was cut short is run again from its start.
"""

from collections.abc import Sequence

from domain.errors import InvalidInputError
from migrations.runner import Migration, load_migrations, migration_lock, pending
from store.cql import CqlCluster, CqlSession, open_session

_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS {keyspace}.schema_migration (name text PRIMARY KEY, checksum text, applied_at timestamp)
"""

_APPLIED = "SELECT name, checksum FROM {keyspace}.schema_migration"
_NOTE = "INSERT INTO {keyspace}.schema_migration (name, checksum, applied_at) VALUES (%s, %s, toTimestamp(now()))"


async def migrate_cql(
    cluster: CqlCluster, postgres_url: str, migrations: Sequence[Migration] | None = None
) -> list[str]:
    """Brings the cluster's keyspace up to date; the names of what was applied now, in order.

    Raises:
        ConflictError: see `pending`.
        InvalidInputError: the data centre does not exist, or has fewer nodes than copies are asked for.
        TransientError: the cluster does not answer.

    """
    wanted = load_migrations("cql") if migrations is None else list(migrations)
    async with migration_lock(postgres_url), open_session(cluster) as session:
        await _make_keyspace(session, cluster)
        return await _apply(session, wanted)


async def _make_keyspace(session: CqlSession, cluster: CqlCluster) -> None:
    """NetworkTopologyStrategy in the local data centre; one that exists is left as its operator has it."""
    if cluster.keyspace in session.cluster.metadata.keyspaces:
        return
    hosts = session.cluster.metadata.all_hosts()
    local_dc = cluster.local_dc or hosts[0].datacenter
    nodes = sum(host.datacenter == local_dc for host in hosts)
    if nodes == 0:
        known = ", ".join(sorted({host.datacenter for host in hosts}))
        raise InvalidInputError(
            f"SCYLLA_LOCAL_DC: {local_dc!r} is not a data centre of the cluster, which has {known}"
        )
    if nodes < cluster.replication_factor:
        raise InvalidInputError(
            f"SCYLLA_REPLICATION_FACTOR: {cluster.replication_factor}, but data centre {local_dc!r} has {nodes} "
            f"node{'s' if nodes > 1 else ''}"
        )
    replication = f"{{'class': 'NetworkTopologyStrategy', '{local_dc}': {cluster.replication_factor}}}"
    # A keyspace and its options can't be bound values; the settings hold both names to plain words.
    await session.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {{keyspace}} WITH replication = {replication}", profile="write"
    )


async def _apply(session: CqlSession, wanted: list[Migration]) -> list[str]:
    await session.execute(_CREATE_HISTORY, profile="write")
    rows = await session.execute(_APPLIED, profile="write")
    todo = pending(wanted, {name: checksum for name, checksum in rows})  # noqa: C416  (rows are of any length to mypy)
    for migration in todo:
        for statement in _statements(migration.text):
            await session.execute(statement, profile="write")
        await session.execute(_NOTE, (migration.name, migration.checksum), profile="write")
    return [migration.name for migration in todo]


def _statements(text: str) -> list[str]:
    """The statements of a migration; each ends with a semicolon at the end of a line."""
    without_comments = "\n".join(line.partition("--")[0].rstrip() for line in text.splitlines())
    return [one.strip() for one in without_comments.split(";\n") if one.strip()]
