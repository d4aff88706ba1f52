"""EraseAccount against a real Temporal: the order of its steps, whatever becomes of an attempt."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.erasure import (
    BEGIN_ERASURE,
    ERASE_INTERACTIONS,
    ERASE_TRACES,
    FINISH_ERASURE,
    NOTE_ERASED,
    ErasureBegun,
    ErasureInput,
)
from domain.training import TIDY_MODELS, Tidied
from tests.workflows.conftest import worker_of
from workflows.erase_account import EraseAccount

ONCE = [ERASE_INTERACTIONS, ERASE_TRACES]


class Eraser:
    """The activities' doubles, and how to run them."""

    def __init__(self, client: Client, queue: str) -> None:
        self.client = client
        self.queue = queue
        self.failures = 0
        self.done: list[str] = []

    async def start(self) -> WorkflowHandle[EraseAccount, None]:
        return await self.client.start_workflow(
            EraseAccount.run, ErasureInput(uuid4()), id=f"test-{uuid4()}", task_queue=self.queue
        )

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name=BEGIN_ERASURE)
        async def begin(_work: ErasureInput) -> ErasureBegun:
            self.done.append(BEGIN_ERASURE)
            return ErasureBegun(0.1)

        @activity.defn(name=TIDY_MODELS)
        async def tidy() -> Tidied:
            self.done.append(TIDY_MODELS)
            return Tidied([], [])

        def step(name: str) -> Callable[..., Any]:
            @activity.defn(name=name)
            async def run(_work: ErasureInput) -> None:
                if self.failures:
                    self.failures -= 1
                    raise ApplicationError("the store does not answer", type="TransientError")
                self.done.append(name)

            return run

        return [begin, tidy, *map(step, (*ONCE, NOTE_ERASED, FINISH_ERASURE))]


@pytest.fixture
async def eraser(temporal_client: Client) -> AsyncIterator[Eraser]:
    made = Eraser(temporal_client, f"test-{uuid4()}")
    async with worker_of(made):
        yield made


async def test_everything_twice_and_then_it_is_done(eraser: Eraser) -> None:
    handle = await eraser.start()
    await handle.result()
    assert eraser.done == [BEGIN_ERASURE, *ONCE, NOTE_ERASED, *ONCE, TIDY_MODELS, FINISH_ERASURE]


async def test_a_store_that_is_down_is_waited_for(eraser: Eraser) -> None:
    eraser.failures = 2
    handle = await eraser.start()
    await handle.result()
    assert eraser.done == [BEGIN_ERASURE, *ONCE, NOTE_ERASED, *ONCE, TIDY_MODELS, FINISH_ERASURE]
