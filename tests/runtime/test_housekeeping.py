"""What Temporal has to have beside workflows comes back when Temporal lost it."""

import asyncio

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from runtime.housekeeping import keep_house
from tests.conftest import Temporal, eventually, new_namespace
from workflows.record_interactions import SEARCH_ATTRIBUTES

SCHEDULES = {"footfall-maintain-stores", "footfall-compact-recent", "footfall-compact-all"}


async def test_an_empty_namespace_gets_search_attributes_and_schedules(temporal: Temporal) -> None:
    """As a Temporal whose database was wiped, under a worker that runs."""
    client = await Client.connect(temporal.address, namespace=await new_namespace(temporal.address))
    housekeeping = asyncio.create_task(keep_house(client, 0.05))

    async def all_there() -> None:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        assert {key.name for key in SEARCH_ATTRIBUTES} <= set(known.custom_attributes)
        assert {one.id async for one in await client.list_schedules()} == SCHEDULES

    try:
        await eventually(all_there)
        await client.get_schedule_handle("footfall-compact-all").delete()
        await eventually(all_there)
        assert not housekeeping.done()
    finally:
        housekeeping.cancel()
        await asyncio.gather(housekeeping, return_exceptions=True)
