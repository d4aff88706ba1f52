"""TrainModel against a real Temporal: every step once, what becomes of the model, and too little to learn from."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError

from domain.training import (
    ACTIONS,
    JUDGE,
    REGISTER_MODEL,
    RUN_TRAINING_STEP,
    STEPS,
    TIDY_MODELS,
    WORKFLOW_ID,
    Registered,
    RegisterInput,
    StepInput,
    StepResult,
    Tidied,
    TrainInput,
    TrainProgress,
)
from tests.conftest import eventually
from tests.workflows.conftest import worker_of
from workflows.train_model import TrainModel
from workflows.train_nightly import TrainNightly


class Trainer:
    """The activities' doubles, and how to run a training past them."""

    def __init__(self, client: Client, queue: str) -> None:
        self.client = client
        self.queue = queue
        self.actions = 5_000.0
        self.steps: list[StepInput] = []
        self.registered: list[RegisterInput] = []
        self.failures: dict[str, list[ApplicationError]] = {}
        self.tidied = 0
        self.goes_on = asyncio.Event()
        """Steps wait for it."""
        self.goes_on.set()

    async def start(
        self, request: TrainInput, workflow_id: str | None = None
    ) -> WorkflowHandle[TrainModel, TrainProgress]:
        return await self.client.start_workflow(
            TrainModel.run, request, id=workflow_id or f"test-{uuid4()}", task_queue=self.queue
        )

    async def train(self, request: TrainInput) -> TrainProgress:
        return await (await self.start(request)).result()

    async def start_tonight(self) -> WorkflowHandle[TrainNightly, TrainProgress | None]:
        """As the schedule does."""
        return await self.client.start_workflow(
            TrainNightly.run, TrainInput(), id=f"test-{uuid4()}", task_queue=self.queue
        )

    async def tonight(self) -> TrainProgress | None:
        return await (await self.start_tonight()).result()

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name=TIDY_MODELS)
        async def tidy() -> Tidied:
            self.tidied += 1
            return Tidied()

        @activity.defn(name=RUN_TRAINING_STEP)
        async def step(work: StepInput) -> StepResult:
            if self.failures.get(work.step):
                raise self.failures[work.step].pop()
            self.steps.append(work)
            while not self.goes_on.is_set():
                activity.heartbeat()
                await asyncio.sleep(0.05)
            if work.step == STEPS[0]:
                return StepResult(1.5, {ACTIONS: self.actions}, "abc")
            return StepResult(2.0, {"ndcg_at_10": 0.5} if work.step == JUDGE else {})

        @activity.defn(name=REGISTER_MODEL)
        async def register(work: RegisterInput) -> Registered:
            self.registered.append(work)
            return Registered(work.version, "current", None, "before")

        return [tidy, step, register]


@pytest.fixture
async def trainer(temporal_client: Client) -> AsyncIterator[Trainer]:
    trainer = Trainer(temporal_client, f"test-{uuid4()}")
    async with worker_of(trainer):
        yield trainer


async def test_every_step_in_its_order_then_the_registry(trainer: Trainer) -> None:
    done = await trainer.train(TrainInput(weeks=3))
    version = done.version
    assert trainer.steps == [StepInput(version, step, 3) for step in STEPS]
    assert trainer.registered == [RegisterInput(version, "abc", {ACTIONS: 5_000, "ndcg_at_10": 0.5}, True, False)]
    assert [one.step for one in done.done] == list(STEPS)
    assert done.registered == Registered(version, "current", None, "before")
    assert done.step == "ended"
    assert trainer.tidied == 1


async def test_what_was_asked_reaches_the_registry(trainer: Trainer) -> None:
    await trainer.train(TrainInput(activate=False, force=True))
    assert [(one.activate, one.force) for one in trainer.registered] == [(False, True)]


async def test_with_too_little_to_learn_from_it_ends_without_a_model(trainer: Trainer) -> None:
    trainer.actions = 999
    done = await trainer.train(TrainInput())
    assert [work.step for work in trainer.steps] == [STEPS[0]]
    assert trainer.registered == []
    assert done.registered is not None
    assert done.registered.state == "refused"


async def test_a_step_whose_store_is_down_is_tried_again_and_no_other(trainer: Trainer) -> None:
    trainer.failures = {STEPS[1]: [ApplicationError("down", type="TransientError")]}
    await trainer.train(TrainInput())
    assert [work.step for work in trainer.steps] == list(STEPS)


async def test_a_step_that_fails_for_good_ends_the_training(trainer: Trainer) -> None:
    trainer.failures = {STEPS[2]: [ApplicationError("broken", type="PermanentError", non_retryable=True)]}
    with pytest.raises(WorkflowFailureError):
        await trainer.train(TrainInput())
    assert trainer.registered == []


async def test_a_cancelled_training_ends_its_step_and_registers_nothing(trainer: Trainer) -> None:
    trainer.goes_on.clear()
    handle = await trainer.start(TrainInput())

    async def at_work() -> None:
        assert trainer.steps

    await eventually(at_work)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as ended:
        await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert ([work.step for work in trainer.steps], trainer.registered) == ([STEPS[0]], [])


async def test_of_two_trainings_one_runs_whoever_starts_them(trainer: Trainer) -> None:
    """By hand, by the schedule, and by the schedule again: under the one name that trainings have."""
    trainer.goes_on.clear()
    by_hand = await trainer.start(TrainInput(), WORKFLOW_ID)
    assert await trainer.tonight() is None
    with pytest.raises(WorkflowAlreadyStartedError):
        await trainer.start(TrainInput(), WORKFLOW_ID)
    trainer.goes_on.set()
    version = (await by_hand.result()).version
    assert [work.version for work in trainer.steps] == [version] * len(STEPS)
    tonight = await trainer.tonight()
    assert tonight is not None
    assert tonight.registered is not None
    assert len(trainer.registered) == 2
