"""Starts trainings in Temporal, follows them in the terminal, and stops them."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
from rich.console import Console
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.batch import TASK_QUEUE
from domain.errors import ConflictError, FootfallError
from domain.training import PROGRESS, STEPS, TRAIN_MODEL, WORKFLOW_ID, Registered, StepDone, TrainInput, TrainProgress
from runtime.connections import connected_client
from runtime.settings import Settings
from runtime.workflow_failures import cause_of

_LOOK_EVERY_S = 0.5
_PATIENCE = timedelta(seconds=2)
_REFUSED = 1

Training = WorkflowHandle[Any, TrainProgress]


async def train_model(settings: Settings, console: Console, request: TrainInput, *, as_json: bool) -> int:
    """Starts a training and follows it; the exit code.

    Raises:
        ConflictError: another training is on, or this one failed.

    """
    client = await connected_client(settings)
    try:
        await client.start_workflow(TRAIN_MODEL, request, id=WORKFLOW_ID, task_queue=TASK_QUEUE)
    except WorkflowAlreadyStartedError as error:
        raise ConflictError("a training is on already: `footfall train --follow` shows it") from error
    return await _followed(client, console, request, as_json=as_json)


async def follow_training(settings: Settings, console: Console, *, as_json: bool) -> int:
    """Follows the training that is on, or tells of the last one; the exit code.

    Raises:
        ConflictError: there is none, or it failed.

    """
    client = await connected_client(settings)
    if await _described(_handle(client)) is None:
        raise ConflictError("no training is on")
    return await _followed(client, console, TrainInput(), as_json=as_json)


async def stop_training(settings: Settings, console: Console) -> int:
    """Cancels the training that is on, and waits until its step has ended."""
    handle = _handle(await connected_client(settings))
    now = await _described(handle)
    if now is None or now.status != WorkflowExecutionStatus.RUNNING:
        console.print("no training is on", highlight=False)
        return 0
    await handle.cancel()
    try:
        await handle.result()
    except WorkflowFailureError as error:
        if not isinstance(error.cause, CancelledError):
            raise _as_ours(error) from error
    console.print("the training has ended; what it left is removed within two days", highlight=False)
    return 0


async def _followed(client: Client, console: Console, request: TrainInput, *, as_json: bool) -> int:
    handle = _handle(client)
    if not as_json:
        console.print(f"training runs as workflow {handle.id}", highlight=False)
    try:
        done = await _follow(client, handle, console, quiet=as_json)
    except WorkflowFailureError as error:
        raise _as_ours(error) from error
    except asyncio.CancelledError:
        if not as_json:
            console.print(
                "the training goes on: `footfall train --follow` shows it, `--stop` ends it", highlight=False
            )
        raise
    assert done.registered is not None  # noqa: S101  (the workflow ends with it)
    if as_json:
        console.print_json(msgspec.json.encode(done).decode())
    else:
        _tell_end(console, done.registered)
    return 0 if done.registered.state == "current" or not request.activate else _REFUSED


def _handle(client: Client) -> Training:
    return client.get_workflow_handle(WORKFLOW_ID, result_type=TrainProgress)


async def _follow(client: Client, handle: Training, console: Console, *, quiet: bool) -> TrainProgress:
    """Tells each step when it is through, and what the one under way is at."""
    result, told = asyncio.create_task(handle.result()), 0
    with console.status("waiting for a worker …") as status:
        while not result.done():
            now = None if quiet else await _progress(handle)
            if now is not None:
                told = _tell_steps(console, now, told)
                at = await _said(client, handle)
                status.update(f"{now.step} ({min(told + 1, len(STEPS))} of {len(STEPS)}){at and ': '}{at} …")
            await asyncio.wait([result], timeout=_LOOK_EVERY_S)
    done = await result
    if not quiet:
        _tell_steps(console, done, told)
    return done


def _tell_steps(console: Console, now: TrainProgress, told: int) -> int:
    for one in now.done[told:]:
        console.print(_step_line(one), highlight=False)
    return len(now.done)


async def _progress(handle: Training) -> TrainProgress | None:
    try:
        now: TrainProgress = await handle.query(PROGRESS, result_type=TrainProgress, rpc_timeout=_PATIENCE)
    except RPCError:
        return None
    return now


async def _said(client: Client, handle: Training) -> str:
    """What the step under way last said of itself, or why it has to be tried again; mostly nothing."""
    now = await _described(handle)
    if now is None:
        return ""
    for one in now.raw_description.pending_activities:
        if one.attempt > 1 and one.HasField("last_failure"):
            return f"attempt {one.attempt}, since {one.last_failure.message}"
        for detail in await client.data_converter.decode(one.heartbeat_details.payloads):
            return str(detail)
    return ""


async def _described(handle: Training) -> WorkflowExecutionDescription | None:
    try:
        return await handle.describe(rpc_timeout=_PATIENCE)
    except RPCError as error:
        if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.UNAVAILABLE}:
            return None
        raise


def _step_line(one: StepDone) -> str:
    figures = ", ".join(f"{name} {value:,.4g}" for name, value in one.result.figures.items())
    return f"{one.step:<9} {one.result.seconds:6.1f} s  {figures}"


def _tell_end(console: Console, done: Registered) -> None:
    if done.state == "current":
        before = f", in place of {done.before}" if done.before else ""
        console.print(f"model {done.version} is the current one now{before}", highlight=False)
    else:
        console.print(f"model {done.version} is {done.state}: {done.reason}", highlight=False, markup=False)


def _as_ours(error: WorkflowFailureError) -> FootfallError:
    """What made the workflow fail, in its own words."""
    cause = cause_of(error)
    if isinstance(cause, CancelledError):
        return ConflictError("the training was cancelled")
    if isinstance(cause, ApplicationError):
        return ConflictError(f"the training failed: {cause.message}")
    return ConflictError(f"the training failed: {cause}")
