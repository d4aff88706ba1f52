"""What Temporal has to have beside workflows comes back when Temporal lost it."""

import asyncio

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy

from domain.precompute import PRECOMPUTE_RECOMMENDATIONS
from domain.training import TRAIN_NIGHTLY
from runtime.housekeeping import Nightly, keep_house, schedule_housekeeping
from tests.conftest import Temporal, eventually, new_namespace
from workflows.record_interactions import SEARCH_ATTRIBUTES

SCHEDULES = {"footfall-maintain-stores", "footfall-compact-recent", "footfall-compact-all"}
NIGHTLY = {"footfall-train-model", "footfall-precompute"}


async def test_an_empty_namespace_gets_search_attributes_and_schedules(temporal: Temporal) -> None:
    """As a Temporal whose database was wiped, under a worker that runs."""
    client = await Client.connect(temporal.address, namespace=await new_namespace(temporal.address))
    housekeeping = asyncio.create_task(keep_house(client, Nightly("02:00", "03:00"), 0.05))

    async def all_there() -> None:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        assert {key.name for key in SEARCH_ATTRIBUTES} <= set(known.custom_attributes)
        assert {one.id async for one in await client.list_schedules()} == SCHEDULES | NIGHTLY

    try:
        await eventually(all_there)
        await client.get_schedule_handle("footfall-compact-all").delete()
        await eventually(all_there)
        assert not housekeeping.done()
    finally:
        housekeeping.cancel()
        await asyncio.gather(housekeeping, return_exceptions=True)


async def test_nightly_work_has_its_hour_and_is_never_on_twice(temporal: Temporal) -> None:
    client = await Client.connect(temporal.address, namespace=await new_namespace(temporal.address))
    await schedule_housekeeping(client, Nightly("01:30", "23:05"))
    for name, workflow, hour, minute in (
        ("footfall-train-model", TRAIN_NIGHTLY, 1, 30),
        ("footfall-precompute", PRECOMPUTE_RECOMMENDATIONS, 23, 5),
    ):
        found = await client.get_schedule_handle(name).describe()
        assert isinstance(found.schedule.action, ScheduleActionStartWorkflow)
        assert found.schedule.action.workflow == workflow
        assert found.schedule.policy.overlap == ScheduleOverlapPolicy.SKIP
        assert {(at.hour, at.minute) for at in found.info.next_action_times} == {(hour, minute)}


async def test_what_is_off_is_not_scheduled_any_more(temporal: Temporal) -> None:
    client = await Client.connect(temporal.address, namespace=await new_namespace(temporal.address))

    async def scheduled() -> set[str]:
        return {one.id async for one in await client.list_schedules()}

    await schedule_housekeeping(client, Nightly("02:00", "03:00"))
    await schedule_housekeeping(client, Nightly("off", "03:00"))

    async def precompute_alone() -> None:
        assert await scheduled() == SCHEDULES | {"footfall-precompute"}

    await eventually(precompute_alone)
    await schedule_housekeeping(client, Nightly("off", "off"))

    async def none() -> None:
        assert await scheduled() == SCHEDULES

    await eventually(none)
