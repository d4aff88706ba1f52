"""Connections that every process makes the same way."""

import asyncio
import logging
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import InvalidInputError
from runtime.settings import Settings
from store.postgres import Pool, create_pool
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


async def open_pool(settings: Settings, name: str, size: int | None = None) -> Pool:
    """A pool of connections that PostgreSQL lists under this application name."""
    return await create_pool(
        postgres_url(settings),
        name=name,
        size=size or settings.postgres_pool_size,
        timeout_s=settings.postgres_timeout_s,
    )


async def lazy_client(settings: Settings) -> Client:
    """A client that connects with its first call: the front door opens while Temporal is down."""
    return await Client.connect(
        temporal_address(settings), namespace=settings.temporal_namespace, lazy=True, identity="footfall api"
    )


async def connected_client(settings: Settings) -> Client:
    """A client that is connected; waits for Temporal as long as it takes, saying so."""
    while True:
        try:
            return await Client.connect(temporal_address(settings), namespace=settings.temporal_namespace)
        except RuntimeError as error:
            _log.warning("Temporal at %s does not answer yet: %s", settings.temporal_address, error)
            await asyncio.sleep(_CONNECT_AGAIN_AFTER_S)


async def register_search_attributes(client: Client) -> None:
    """Makes the attributes that batches are found by known to Temporal's namespace; again is harmless."""
    wanted = {
        key.name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{key.indexed_value_type.name}")
        for key in SEARCH_ATTRIBUTES
    }
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted),
            timeout=_RPC_TIMEOUT,
        )
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
