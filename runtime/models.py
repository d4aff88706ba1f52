"""Starts trainings in Temporal and follows them; shows and switches models."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.batch import TASK_QUEUE
from domain.errors import ConflictError
from domain.models import ModelVersion
from domain.training import (
    GATE_METRIC,
    PROGRESS,
    STEPS,
    TRAIN_MODEL,
    WORKFLOW_ID,
    Registered,
    StepDone,
    TrainInput,
    TrainProgress,
)
from runtime.connections import connected_client, open_pool
from runtime.settings import Settings
from store.models import ModelRegistry

_POOL_SIZE = 2
_LOOK_EVERY_S = 0.5
_QUERY_PATIENCE = timedelta(seconds=2)
_SHOWN = 20


async def train_model(
    settings: Settings, console: Console, *, activate: bool, force: bool, weeks: int, as_json: bool
) -> Registered:
    """Waits for the training's end; should this process end, the training goes on.

    Raises:
        ConflictError: another training is on, or this one failed.

    """
    client = await connected_client(settings)
    handle = await _start(client, TrainInput(activate, force, weeks))
    if not as_json:
        console.print(f"training runs as workflow {handle.id}", highlight=False)
    try:
        done = await _follow(handle, console, quiet=as_json)
    except WorkflowFailureError as error:
        cause = error.cause.__cause__ or error.cause
        raise ConflictError(f"the training failed: {cause}") from error
    assert done.registered is not None  # noqa: S101  (the workflow ends with it)
    if as_json:
        console.print_json(msgspec.json.encode(done).decode())
    else:
        _tell_end(console, done.registered)
    return done.registered


async def _start(client: Client, request: TrainInput) -> WorkflowHandle[Any, TrainProgress]:
    try:
        return await client.start_workflow(
            TRAIN_MODEL, request, id=WORKFLOW_ID, task_queue=TASK_QUEUE, result_type=TrainProgress
        )
    except WorkflowAlreadyStartedError as error:
        raise ConflictError(f"a training is on already, as workflow {WORKFLOW_ID}") from error


async def _follow(handle: WorkflowHandle[Any, TrainProgress], console: Console, *, quiet: bool) -> TrainProgress:
    """Tells each step when it is through."""
    result, told = asyncio.create_task(handle.result()), 0
    with console.status("waiting for a worker …") as status:
        while not result.done():
            now = None if quiet else await _progress(handle)
            if now is not None:
                for one in now.done[told:]:
                    console.print(_step_line(one), highlight=False)
                told = len(now.done)
                status.update(f"{now.step} ({min(told + 1, len(STEPS))} of {len(STEPS)}) …")
            await asyncio.wait([result], timeout=_LOOK_EVERY_S)
    done = await result
    if not quiet:
        for one in done.done[told:]:
            console.print(_step_line(one), highlight=False)
    return done


async def _progress(handle: WorkflowHandle[Any, TrainProgress]) -> TrainProgress | None:
    try:
        now: TrainProgress = await handle.query(PROGRESS, result_type=TrainProgress, rpc_timeout=_QUERY_PATIENCE)
    except RPCError:
        return None
    return now


def _step_line(one: StepDone) -> str:
    figures = ", ".join(f"{name} {value:,.4g}" for name, value in one.result.figures.items())
    return f"{one.step:<9} {one.result.seconds:6.1f} s  {figures}"


def _tell_end(console: Console, done: Registered) -> None:
    if done.state == "current":
        before = f", in place of {done.before}" if done.before else ""
        console.print(f"model {done.version} answers now{before}", highlight=False)
    else:
        console.print(f"model {done.version} is {done.state}: {done.reason}", highlight=False)


async def show_models(settings: Settings, console: Console, *, as_json: bool) -> None:
    async with open_pool(settings, "footfall models", _POOL_SIZE) as pool:
        models = await ModelRegistry(pool).newest(_SHOWN)
    if as_json:
        console.print_json(msgspec.json.encode({"models": models}).decode())
        return
    table = Table("version", "state", "trained", GATE_METRIC, "data", "reason")
    for one in models:
        table.add_row(*_model_row(one))
    console.print(table)


def _model_row(one: ModelVersion) -> list[str]:
    figure = one.metrics.get(GATE_METRIC)
    return [
        one.version,
        one.state,
        f"{one.trained_at:%Y-%m-%d %H:%M}",
        "" if figure is None else f"{figure:.4f}",
        one.fingerprint[:12],
        one.reason or "",
    ]


async def activate(settings: Settings, console: Console, version: str, reason: str) -> None:
    async with open_pool(settings, "footfall models", _POOL_SIZE) as pool:
        await ModelRegistry(pool).activate(version, reason)
    console.print(f"model {version} answers now", highlight=False)


async def roll_back_model(settings: Settings, console: Console, reason: str) -> None:
    async with open_pool(settings, "footfall models", _POOL_SIZE) as pool:
        before = await ModelRegistry(pool).roll_back(reason)
    console.print(f"model {before.version} answers now", highlight=False)
