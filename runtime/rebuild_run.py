"""Starts rebuilds and verifications in Temporal, follows them and says what they find."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.batch import TASK_QUEUE
from domain.errors import ConflictError, FootfallError
from domain.rebuild import (
    NAMES_READ,
    PROGRESS,
    REBUILD_POPULARITY,
    WORKFLOW_ID,
    Purpose,
    RebuildInput,
    RebuildProgress,
    RebuildResult,
    Settled,
    wanted_days,
)
from intake.ledger import now_us
from intake.recount import LedgerCheck
from runtime.commands import console
from runtime.connections import connected_client, open_pool
from runtime.rebuild_report import Report
from runtime.settings import Settings
from runtime.workflow_failures import cause_of
from store.rebuild import RebuildStore

_POOL_SIZE = 2
_LOOK_EVERY_S = 0.5
_QUERY_PATIENCE = timedelta(seconds=2)
_DIFFERS = 1


async def rebuild(settings: Settings, request: RebuildInput, *, as_json: bool) -> int:
    """Starts the workflow and waits for it; the exit code.

    Should this process end, a rebuild goes on; what was only to be told is cancelled, or ends after an hour.
    """
    report = Report(console, as_json=as_json)
    wanted_days(request.from_day, request.to_day, now_us())
    client = await connected_client(settings)
    handle = await _start(client, request)
    report.started(handle.id)
    try:
        done = await _follow(settings, handle, request.purpose, report)
    except WorkflowFailureError as error:
        raise _as_ours(error) from error
    except asyncio.CancelledError:
        if request.purpose != "rebuild":
            await handle.cancel()
        raise
    report.ended(request.purpose, done)
    return _DIFFERS if request.purpose == "verify" and done.settled.any else 0


async def _follow(
    settings: Settings, handle: WorkflowHandle[Any, RebuildResult], purpose: Purpose, report: Report
) -> RebuildResult:
    """Shows how far it is, and names what differs as soon as that is known."""
    result = asyncio.create_task(handle.result())
    named = False
    with report.status() as status:
        while not result.done():
            progress = await _progress(handle)
            status.update(report.progress(progress))
            if not named and progress is not None and _is_to_be_named(purpose, progress.settled):
                await _name_all(settings, report)
                await handle.signal(NAMES_READ)
                named = True
            await asyncio.wait([result], timeout=_LOOK_EVERY_S)
    return await result


def _is_to_be_named(purpose: Purpose, settled: Settled | None) -> bool:
    return purpose in {"verify", "repair"} and settled is not None and settled.any


async def _start(client: Client, request: RebuildInput) -> WorkflowHandle[Any, RebuildResult]:
    try:
        return await client.start_workflow(
            REBUILD_POPULARITY, request, id=WORKFLOW_ID, task_queue=TASK_QUEUE, result_type=RebuildResult
        )
    except WorkflowAlreadyStartedError as error:
        raise ConflictError(
            f"a rebuild or a verification is on already, as workflow {WORKFLOW_ID}; `footfall rebuild stop` ends it"
        ) from error


async def _progress(handle: WorkflowHandle[Any, RebuildResult]) -> RebuildProgress | None:
    try:
        now: RebuildProgress = await handle.query(PROGRESS, result_type=RebuildProgress, rpc_timeout=_QUERY_PATIENCE)
    except RPCError:
        return None
    return now


async def _name_all(settings: Settings, report: Report) -> None:
    """Reads every difference from the tables where the workflow keeps them meanwhile."""
    async with open_pool(settings, "footfall verify", _POOL_SIZE) as pool:
        async for difference in RebuildStore(pool).differences():
            report.difference(difference)
        async for fault in LedgerCheck(pool, settings.dedup_window_days).faults():
            report.ledger_fault(fault)


async def stop(settings: Settings) -> int:
    """Cancels the workflow; where none runs, as after one was terminated, clears what it left."""
    client = await connected_client(settings)
    handle = client.get_workflow_handle(WORKFLOW_ID)
    try:
        described = await handle.describe()
        if described.status == WorkflowExecutionStatus.RUNNING:
            await handle.cancel()
            await _ended(handle)
            console.print(f"workflow {WORKFLOW_ID} has ended", highlight=False)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
    async with open_pool(settings, "footfall rebuild stop", _POOL_SIZE) as pool:
        store = RebuildStore(pool)
        left = await store.current()
        if left is None:
            console.print("no rebuild is on", highlight=False)
        else:
            await store.end(left)
            console.print(f"cleared what rebuild {left} left", highlight=False)
    return 0


async def _ended(handle: WorkflowHandle[Any, Any]) -> None:
    try:
        await handle.result()
    except WorkflowFailureError as error:
        if not isinstance(error.cause, CancelledError):
            raise _as_ours(error) from error


def _as_ours(error: WorkflowFailureError) -> FootfallError:
    """What made the workflow fail, in its own words."""
    cause = cause_of(error)
    if isinstance(cause, CancelledError):
        return ConflictError("the rebuild was cancelled; what it had added stays, and is right")
    if isinstance(cause, ApplicationError):
        return ConflictError(f"{cause.type}: {cause.message}")
    return ConflictError(str(cause))
