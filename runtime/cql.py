"""Connections to a ScyllaDB or Cassandra cluster, by the settings."""

import asyncio
import logging
import ssl
from contextlib import AsyncExitStack

from domain.errors import InvalidInputError, TransientError
from migrations.cql_runner import migrate_cql
from runtime.settings import Settings
from store.blocks.cql import CqlBlockStore
from store.cql import CqlCluster, open_session

_log = logging.getLogger(__name__)
_CONNECT_AGAIN_AFTER_S = 1.0


async def migrate(settings: Settings, postgres_url: str) -> list[str]:
    """Brings the cluster's tables up to date; the names of the migrations applied now."""
    return await migrate_cql(cql_cluster(settings), postgres_url)


async def connected_block_store(settings: Settings, stack: AsyncExitStack) -> CqlBlockStore:
    """A store whose session `stack` closes; waits for the cluster as long as it takes, saying so.

    Raises:
        InvalidInputError: the cluster refuses us.
        PermanentError: its tables are not there.

    """
    cluster = cql_cluster(settings)
    while True:
        async with AsyncExitStack() as attempt:
            try:
                session = await attempt.enter_async_context(open_session(cluster))
                store = await CqlBlockStore.prepared(session)
            except TransientError as error:
                _log.warning("the block store is not ready yet: %s", error)
            else:
                stack.push_async_exit(attempt.pop_all())
                return store
        await asyncio.sleep(_CONNECT_AGAIN_AFTER_S)


def cql_cluster(settings: Settings) -> CqlCluster:
    """The cluster of the settings.

    Raises:
        InvalidInputError: a file of the TLS settings can't be used.

    """
    return CqlCluster(
        contact_points=settings.scylla_contact_points,
        port=settings.scylla_port,
        keyspace=settings.scylla_keyspace,
        replication_factor=settings.scylla_replication_factor,
        local_dc=settings.scylla_local_dc,
        username=settings.scylla_username,
        password=settings.scylla_password.get_secret_value() if settings.scylla_password else None,
        tls=_tls(settings) if settings.scylla_tls else None,
        read_consistency=settings.scylla_read_consistency,
        write_consistency=settings.scylla_write_consistency,
        timeout_s=settings.scylla_timeout_s,
        speculative_after_s=settings.scylla_speculative_ms / 1000,
    )


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.scylla_tls_ca_file)
        if settings.scylla_tls_cert_file is not None:
            context.load_cert_chain(settings.scylla_tls_cert_file, settings.scylla_tls_key_file)
    except OSError as error:
        raise InvalidInputError(f"SCYLLA_TLS_CA_FILE, _CERT_FILE or _KEY_FILE: {error}") from error
    return context
