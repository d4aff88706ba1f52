"""Connections that every process makes the same way."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client, Interceptor
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import InvalidInputError, TransientError
from migrations.runner import migrate_postgres
from runtime.settings import Settings
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import Block, BlockReader, BlockStore
from store.postgres import Pool, create_pool
from store.signals import SignalStore
from store.signals_postgres import PostgresSignalStore
from store.topic import Topic
from workflows.record_interactions import SEARCH_ATTRIBUTES

_log = logging.getLogger(__name__)
_CONNECT_AGAIN_AFTER_S = 1.0
_RPC_TIMEOUT = timedelta(seconds=10)


def postgres_url(settings: Settings) -> str:
    if settings.postgres_url is None:
        raise InvalidInputError("FOOTFALL_POSTGRES_URL: not set, and no `footfall up` runs on this data folder")
    return settings.postgres_url.get_secret_value()


def temporal_address(settings: Settings) -> str:
    if settings.temporal_address is None:
        raise InvalidInputError("TEMPORAL_ADDRESS: not set, and no `footfall up` runs on this data folder")
    return settings.temporal_address


async def migrate_stores(settings: Settings, postgres_url: str) -> list[str]:
    """Brings every store of the settings up to date; the names of the migrations applied now."""
    applied = await migrate_postgres(postgres_url)
    if settings.scylla_enabled:
        from runtime.cql import migrate  # noqa: PLC0415  (see open_block_store)

        applied += await migrate(settings, postgres_url)
    return applied


def open_pool(settings: Settings, name: str, size: int | None = None) -> AbstractAsyncContextManager[Pool]:
    """A pool of connections that PostgreSQL lists under this application name."""
    return create_pool(
        postgres_url(settings),
        name=name,
        size=size or settings.postgres_pool_size,
        timeout_s=settings.postgres_timeout_s,
    )


@asynccontextmanager
async def open_block_store(settings: Settings, pool: Pool) -> AsyncIterator[BlockStore]:
    """The block store of the settings; waits for its cluster as long as it takes, saying so.

    Raises:
        InvalidInputError: the cluster refuses us.
        PermanentError: its tables are not there.

    """
    if not settings.scylla_enabled:
        yield PostgresBlockStore(pool)
        return
    # Where there is no cluster, its driver would be 30 MB of every process.
    from runtime.cql import connected_block_store  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        yield await connected_block_store(settings, stack)


@asynccontextmanager
async def open_block_reader(settings: Settings, pool: Pool) -> AsyncIterator[BlockReader]:
    """The same for readers, without the wait: until the cluster is there, they are told that it is not."""
    if not settings.scylla_enabled:
        yield PostgresBlockStore(pool)
        return
    from runtime.cql import connected_block_store  # noqa: PLC0415  (see open_block_store)

    async with AsyncExitStack() as stack:
        reader = _OpeningBlockReader(asyncio.create_task(connected_block_store(settings, stack)))
        stack.push_async_callback(reader.give_up)
        yield reader


@asynccontextmanager
async def open_signal_store(settings: Settings, pool: Pool, name: str) -> AsyncIterator[SignalStore]:
    """The signal store of the settings, which Redis lists under this client's name; it connects when it is used."""
    if settings.redis_url is None:
        yield PostgresSignalStore(pool)
        return
    # As with the cluster's driver: only for those who have it.
    from store.redis import open_redis  # noqa: PLC0415
    from store.signals_redis import RedisSignalStore  # noqa: PLC0415

    url = settings.redis_url.get_secret_value()
    async with open_redis(url, name=name.replace(" ", "-"), timeout_s=settings.redis_timeout_s) as client:
        yield RedisSignalStore(client)


@asynccontextmanager
async def open_topic(settings: Settings) -> AsyncIterator[Topic | None]:
    """The topic of the settings, or None; it connects by itself, whenever the brokers are there.

    Raises:
        InvalidInputError: a setting is none of Kafka's.

    """
    if settings.publish_topic is None:
        yield None
        return
    # Where nothing is published, librdkafka would be memory of every worker.
    from doors.kafka.client import read_config_file  # noqa: PLC0415
    from store.topic_kafka import KafkaTopic  # noqa: PLC0415

    connection = {**read_config_file(settings.kafka_config_file), "bootstrap.servers": settings.kafka_bootstrap}
    topic = KafkaTopic(settings.publish_topic, connection)
    try:
        yield topic
    finally:
        await topic.aclose()


class _OpeningBlockReader:
    def __init__(self, opening: asyncio.Task[BlockStore]) -> None:
        self._opening = opening

    async def read(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        return await self._store().read(account_id, first_week, last_week)

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        return await self._store().read_exact(account_id, first_week, last_week)

    async def ping(self) -> None:
        await self._store().ping()

    async def give_up(self) -> None:
        self._opening.cancel()
        await asyncio.gather(self._opening, return_exceptions=True)

    def _store(self) -> BlockStore:
        if not self._opening.done():
            raise TransientError("the block store is not connected yet")
        return self._opening.result()


async def lazy_client(settings: Settings, name: str, interceptors: Sequence[Interceptor] = ()) -> Client:
    """A client that connects with its first call: the front door opens while Temporal is down."""
    return await Client.connect(
        temporal_address(settings),
        namespace=settings.temporal_namespace,
        lazy=True,
        identity=name,
        interceptors=interceptors,
    )


async def connected_client(
    settings: Settings, runtime: Runtime | None = None, interceptors: Sequence[Interceptor] = ()
) -> Client:
    """A client that is connected; waits for Temporal as long as it takes, saying so."""
    while True:
        try:
            return await Client.connect(
                temporal_address(settings),
                namespace=settings.temporal_namespace,
                runtime=runtime,
                interceptors=interceptors,
            )
        except RuntimeError as error:
            _log.warning("Temporal at %s does not answer yet: %s", settings.temporal_address, error)
            await asyncio.sleep(_CONNECT_AGAIN_AFTER_S)


async def register_search_attributes(client: Client) -> list[str]:
    """Makes the attributes that batches are found by known to Temporal's namespace; those that were missing."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=_RPC_TIMEOUT
    )
    wanted = {
        key.name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{key.indexed_value_type.name}")
        for key in SEARCH_ATTRIBUTES
        if key.name not in known.custom_attributes
    }
    if not wanted:
        return []
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted),
            timeout=_RPC_TIMEOUT,
        )
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
    return list(wanted)
