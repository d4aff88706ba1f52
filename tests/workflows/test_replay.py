"""Workflows that are open while a new version rolls out go on: recorded histories still replay."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from tests.workflows.conftest import workflow_runner
from workflows import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def _replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner())


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_history_without_traces_replays_where_there_are_traces(file: Path) -> None:
    """As workers do, outside of the sandbox: traces may be turned on while workflows are open."""
    tracer = TracerProvider().get_tracer("test")
    traced = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[TracingInterceptor(tracer, always_create_workflow_spans=True)],
    )
    await traced.replay_workflow(WorkflowHistory.from_json(str(uuid4()), file.read_text()))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    await _replayer().replay_workflow(WorkflowHistory.from_json(str(uuid4()), file.read_text()))


def test_there_are_histories() -> None:
    assert {
        "all_done",
        "all_done_local_first",
        "compacted",
        "discarded",
        "discarded_local_first",
        "erased",
        "parked",
        "parked_and_replayed",
        "parked_and_replayed_local_first",
        "parked_local_first",
        "precomputed",
        "rebuild_cancelled",
        "rebuilt",
        "second_attempt_local_first",
        "trained",
        "trained_at_night",
        "trained_at_night_beside_another",
        "trained_on_too_little",
        "training_cancelled",
        "verified_and_repaired",
    } <= {file.stem for file in HISTORIES}


async def test_another_order_of_activities_is_noticed() -> None:
    """The guard itself: a history of another workflow code must not replay."""
    history = json.loads((HISTORIES[0].parent / "all_done.json").read_text())
    for event in history["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled and scheduled["activityType"]["name"] == "release":
            scheduled["activityType"]["name"] = "forget"
    with pytest.raises(NondeterminismError):
        await _replayer().replay_workflow(WorkflowHistory.from_json(str(uuid4()), json.dumps(history)))
