"""RecordInteractions against a real Temporal: what runs when, what a fault does, what a person sees."""

import json

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError

from domain.batch import DiscardRequest, FanOutResult, ReleaseResult
from tests.conftest import eventually
from tests.workflows.conftest import RESULT, Carriage
from workflows.record_interactions import ACCOUNTS, EVENTS, FIRST_EVENT, LAST_EVENT, PARKED, RecordInteractions

Handle = WorkflowHandle[RecordInteractions, ReleaseResult]


class Failing:
    """An activity that fails so often, then works."""

    def __init__(self, times: int, *, permanent: bool) -> None:
        self.left = times
        self._permanent = permanent

    def __call__(self) -> FanOutResult:
        if self.left:
            self.left -= 1
            raise ApplicationError("table is gone", type="PermanentError", non_retryable=self._permanent)
        return RESULT


async def _details(handle: Handle) -> str:
    return str(await handle.query("__temporal_workflow_metadata", result_type=object))


async def _attribute(handle: Handle, key: SearchAttributeKey) -> object:  # type: ignore[type-arg]
    return (await handle.describe()).typed_search_attributes.get(key)


async def test_all_fan_outs_then_release(carriage: Carriage) -> None:
    result = await (await carriage.start()).result()
    assert result == ReleaseResult(1, 0)
    assert sorted(carriage.calls[:2]) == ["persist", "popularity"]
    assert carriage.calls[2:] == ["release persist popularity"]


async def test_a_person_in_the_ui_finds_it_and_reads_what_was_done(carriage: Carriage) -> None:
    handle = await carriage.start()
    await handle.result()
    assert await _attribute(handle, EVENTS) == 3
    assert await _attribute(handle, ACCOUNTS) == 2
    assert await _attribute(handle, FIRST_EVENT) == RESULT.first_occurred_at
    assert await _attribute(handle, LAST_EVENT) == RESULT.last_occurred_at
    details = await _details(handle)
    assert "**3** interactions of **2** accounts" in details
    assert "released 1 intake rows" in details


async def test_transient_faults_are_retried_until_they_pass(carriage: Carriage) -> None:
    carriage.popularity = Failing(3, permanent=False)
    await (await carriage.start()).result()
    assert carriage.calls.count("popularity") == 4
    assert carriage.calls.count("persist") == 1
    assert carriage.parked == []


async def test_what_works_at_once_is_one_task_and_what_fails_once_is_an_activity(carriage: Carriage) -> None:
    if not carriage.local_first:
        assert await _activities_of(carriage) == ["persist", "popularity", "release"]
        return
    assert await _activities_of(carriage) == []
    carriage.popularity = Failing(1, permanent=False)
    assert await _activities_of(carriage) == ["popularity"]


async def _activities_of(carriage: Carriage) -> list[str]:
    """Those that Temporal itself scheduled for a batch, and so shows with their attempts."""
    handle = await carriage.start()
    await handle.result()
    events = (await handle.fetch_history()).events
    scheduled = [one.activity_task_scheduled_event_attributes for one in events]
    return sorted(one.activity_type.name for one in scheduled if one.activity_type.name)


async def test_a_permanent_fault_parks_one_fan_out_until_it_is_replayed(carriage: Carriage) -> None:
    carriage.popularity = Failing(carriage.attempts, permanent=True)
    handle = await carriage.start()

    async def is_parked() -> None:
        assert await _attribute(handle, PARKED) == ["popularity"]
        assert carriage.parked == [("popularity", "PermanentError: table is gone")]

    await eventually(is_parked)
    assert "release" not in " ".join(carriage.calls)
    assert "**parked**" in await _details(handle)
    assert await handle.execute_update(RecordInteractions.replay, []) == ["popularity"]
    await handle.result()
    assert await _attribute(handle, PARKED) in (None, [])
    assert carriage.calls[-2:] == ["popularity", "release persist popularity"]
    assert carriage.parked[1:] == [("popularity", "")]


async def test_what_is_not_parked_can_not_be_replayed(carriage: Carriage) -> None:
    carriage.popularity = Failing(carriage.attempts, permanent=True)
    handle = await carriage.start()

    async def is_parked() -> None:
        assert carriage.parked

    await eventually(is_parked)
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await handle.execute_update(RecordInteractions.replay, ["persist"])
    assert "not parked: persist" in str(failed.value.cause)
    await handle.execute_update("replay")  # as the Temporal UI sends it when nothing is filled in
    await handle.result()


async def test_no_interaction_is_in_a_history(carriage: Carriage) -> None:
    """Inputs and results are ids and counts: a batch of 10,000 has the same history as one of 1."""
    handle = await carriage.start()
    await handle.result()
    history = json.dumps((await handle.fetch_history()).to_json_dict())
    assert len(history) < 20_000


async def test_a_parked_fan_out_can_be_discarded_with_a_reason(carriage: Carriage) -> None:
    carriage.popularity = Failing(99, permanent=True)
    handle = await carriage.start()

    async def is_parked() -> None:
        assert carriage.parked == [("popularity", "PermanentError: table is gone")]

    await eventually(is_parked)
    for request, problem in (
        (DiscardRequest(" "), "a reason is needed"),
        (DiscardRequest("wrong weights", ["persist"]), "not parked: persist"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(RecordInteractions.discard, request)
        assert problem in str(refused.value.cause)
    assert await handle.execute_update(RecordInteractions.discard, DiscardRequest("a test shop")) == ["popularity"]
    assert await handle.result() == ReleaseResult(1, 0)
    assert carriage.calls[-2:] == ["discard popularity: a test shop", "release persist popularity"]
    assert carriage.calls.count("popularity") == carriage.attempts
    assert await _attribute(handle, PARKED) in (None, [])
    assert "**discarded**. a test shop" in await _details(handle)


async def test_a_fan_out_that_is_parked_again_after_its_replay_can_be_discarded(carriage: Carriage) -> None:
    carriage.popularity = Failing(2 * carriage.attempts, permanent=True)
    handle = await carriage.start()

    async def parked(times: int) -> None:
        assert [fan_out for fan_out, reason in carriage.parked if reason] == ["popularity"] * times

    await eventually(lambda: parked(1))
    await handle.execute_update(RecordInteractions.replay, ["popularity"])
    await eventually(lambda: parked(2))
    # As the Temporal UI sends it: one JSON object.
    await handle.execute_update("discard", {"reason": "still broken"})
    await handle.result()
    assert "discard popularity: still broken" in carriage.calls
