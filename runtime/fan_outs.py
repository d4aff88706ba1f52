"""`footfall fan-outs`: what is parked, and replaying or giving it up."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from domain.batch import DISCARD, DiscardRequest
from domain.week import from_us
from intake.carrier import Carrier
from intake.log import IntakeLog, IntakeRow
from intake.parked import Carried, ParkedFanOut, ParkedFanOuts, Which, end_replaced, replay
from intake.quarantine import Choice, Quarantine
from intake.receipts import Receipts
from runtime.connections import connected_client, open_pool
from runtime.fan_outs_wanted import fan_outs_of
from runtime.settings import Settings
from store.postgres import Pool

_POOL_SIZE = 4
_LOOK_EVERY_S = 0.2
_RPC_TIMEOUT = timedelta(seconds=10)
_UPDATES_AT_ONCE = 16
_SHOWN_ACCOUNTS = 10


def _pool(settings: Settings) -> AbstractAsyncContextManager[Pool]:
    return open_pool(settings, "footfall fan-outs", _POOL_SIZE)


async def list_parked(settings: Settings, which: Which, console: Console, *, as_json: bool) -> None:
    async with _pool(settings) as pool:
        parked = await ParkedFanOuts(pool).find(which)
    if not parked:
        _print_nothing(which, console, as_json=as_json)
    elif as_json:
        print_json(parked)
    else:
        console.print(parked_table(parked))


async def replay_parked(settings: Settings, which: Which, console: Console, *, wait: bool, as_json: bool) -> int:
    """The exit code: 1 where something is parked again."""
    async with _pool(settings) as pool:
        store = ParkedFanOuts(pool)
        parked = await store.find(which)
        if not parked:
            _print_nothing(which, console, as_json=as_json)
            return 0
        # What is parked is meant to be done, also where this shell lacks the setting that the others have.
        fan_outs = dict.fromkeys([*fan_outs_of(settings), *(one.fan_out for one in parked)])
        carrier = Carrier(await connected_client(settings), list(fan_outs))
        started = time.monotonic()
        carried = []
        with progress_bars(console, quiet=as_json) as progress:
            batches = progress.add_task("batches carried anew", total=len({one.batch_id for one in parked}))
            async for one in replay(parked, IntakeLog(pool), carrier.start, max_events=settings.batch_max_events):
                carried.append(one)
                progress.advance(batches, len(one.replaced))
            events = {one.batch_id: one.events for one in carried}
            again = await outcome(store, events, progress) if wait else []
            report = _report(carried, again, time.monotonic() - started)
            await _end_replaced(carried, carrier, progress)
    if as_json:
        print_json(report)
    else:
        _print_report(report, again, console, waited=wait)
    return 1 if again else 0


async def outcome(store: ParkedFanOuts, events: Mapping[UUID, int], progress: Progress) -> list[ParkedFanOut]:
    """Waits until every batch, given with its number of interactions, is released or parked; what is parked."""
    task = progress.add_task("interactions applied", total=sum(events.values()))
    while True:
        left = await store.left(list(events))
        parked = await store.find(Which(batch_ids=list(left))) if left else []
        progress.update(task, completed=sum(count for one, count in events.items() if one not in left))
        if left == {one.batch_id for one in parked}:
            return parked
        await asyncio.sleep(_LOOK_EVERY_S)


async def _end_replaced(carried: Sequence[Carried], carrier: Carrier, progress: Progress) -> None:
    task = progress.add_task("old workflows ended", total=sum(len(one.replaced) for one in carried))
    await end_replaced(carried, carrier.end, lambda: progress.advance(task))


async def discard_parked(settings: Settings, which: Which, because: str, console: Console) -> int:
    """The exit code: 1 where some could not be given up."""
    async with _pool(settings) as pool:
        parked = await ParkedFanOuts(pool).find(which)
    fan_outs: dict[UUID, list[str]] = {}
    for one in parked:
        fan_outs.setdefault(one.batch_id, []).append(one.fan_out)
    client = await connected_client(settings)
    at_once = asyncio.Semaphore(_UPDATES_AT_ONCE)

    async def discard(batch_id: UUID, names: list[str]) -> str | None:
        async with at_once:
            return await _discard(client, batch_id, DiscardRequest(because, names))

    problems = await asyncio.gather(*(discard(*one) for one in fan_outs.items()))
    failed = {batch: problem for batch, problem in zip(fan_outs, problems, strict=True) if problem}
    for batch, problem in failed.items():
        console.print(f"{batch}: {problem}", style="red", highlight=False, markup=False)
    console.print(f"discarded in {len(fan_outs) - len(failed)} batches", highlight=False)
    return 1 if failed else 0


async def _discard(client: Client, batch_id: UUID, request: DiscardRequest) -> str | None:
    """None, or why it was not done."""
    try:
        await client.get_workflow_handle(str(batch_id)).execute_update(DISCARD, request, rpc_timeout=_RPC_TIMEOUT)
    except WorkflowUpdateFailedError as error:
        return str(error.cause)
    except RPCError as error:
        return f"Temporal: {error}"
    return None


async def show_batch(settings: Settings, batch_id: UUID, console: Console, *, as_json: bool) -> int:
    """The exit code: 1 where there is no such batch."""
    async with _pool(settings) as pool:
        receipt = await Receipts(pool).batch(batch_id)
        parked = await ParkedFanOuts(pool).find(Which(batch_ids=[batch_id]))
        rows = await IntakeLog(pool).read(batch_id)
        aside = await Quarantine(pool).find(Choice(batch_id=batch_id))
    if receipt is None:
        console.print(f"there is no batch {batch_id}, or it was done long ago", highlight=False)
        return 1
    found: dict[str, Any] = {
        "batch_id": batch_id,
        "moved_to": receipt.moved_to,
        "interactions": receipt.events_left + receipt.events_released,
        "released": receipt.events_released,
        **_contents(rows),
        "fan_outs": {
            name: _state(name, receipt.applied.get(name, 0), receipt.rows_left, parked, receipt.discarded)
            for name in dict.fromkeys(
                [*fan_outs_of(settings), *(one.fan_out for one in parked), *receipt.applied, *receipt.discarded]
            )
        },
        "quarantined": dict(Counter(one.fan_out for one in aside)),
        "workflow": await _workflow(await connected_client(settings), batch_id),
    }
    if as_json:
        print_json(found)
        return 0
    for name, value in found.items():
        shown = (
            "\n  ".join(["", *(f"{key}: {one}" for key, one in value.items())]) if isinstance(value, dict) else value
        )
        console.print(f"{name}: {shown}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _contents(rows: Sequence[IntakeRow]) -> dict[str, Any]:
    """Of what is still in the log."""
    interactions = [one for row in rows for one in row.interactions]
    if not interactions:
        return {}
    accounts = Counter(one.account_id for one in interactions)
    times = [one.occurred_at for one in interactions]
    return {
        "occurred": f"{from_us(min(times)).isoformat()} to {from_us(max(times)).isoformat()}",
        "accounts": len(accounts),
        "most_of": dict(accounts.most_common(_SHOWN_ACCOUNTS)),
    }


def _state(name: str, applied: int, rows_left: int, parked: Sequence[ParkedFanOut], discarded: dict[str, str]) -> str:
    reason = next((f"parked since {one.parked_at}: {one.reason}" for one in parked if one.fan_out == name), None)
    if reason is not None:
        return reason
    if name in discarded:
        return f"discarded: {discarded[name]}"
    return "done" if applied == rows_left else f"under way, {rows_left - applied} of {rows_left} intake rows left"


async def _workflow(client: Client, batch_id: UUID) -> str:
    try:
        described = await client.get_workflow_handle(str(batch_id)).describe(rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return "none: Temporal does not know it (any more)"
        raise
    status = "unknown" if described.status is None else described.status.name.lower()
    return f"{status}, run {described.run_id}"


def _report(carried: Sequence[Carried], again: Sequence[ParkedFanOut], seconds: float) -> dict[str, Any]:
    """The seconds are until all is applied; to end the old workflows takes longer than that."""
    return {
        "batches": sum(len(one.replaced) for one in carried),
        "interactions": sum(one.events for one in carried),
        "carried_by": [one.batch_id for one in carried],
        "seconds": round(seconds, 3),
        "parked_again": again,
    }


def _print_report(report: dict[str, Any], again: Sequence[ParkedFanOut], console: Console, *, waited: bool) -> None:
    what = f"{report['batches']:,} batches with {report['interactions']:,} interactions"
    into = f"{len(report['carried_by']):,} new ones in {report['seconds']:.1f} s"
    done = ("; nothing is parked again" if not again else "; parked again:") if waited else ""
    console.print(f"{what} are carried by {into}{done}", highlight=False)
    if again:
        console.print(parked_table(again))


def _print_nothing(which: Which, console: Console, *, as_json: bool) -> None:
    if as_json:
        print_json([])
    else:
        console.print("nothing is parked" if which == Which() else "nothing of the kind is parked")


def parked_table(parked: Sequence[ParkedFanOut]) -> Table:
    table = Table("batch", "fan-out", "parked", "interactions", "reason")
    for one in parked:
        when = f"{one.parked_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(one.batch_id), one.fan_out, when, f"{one.events:,}", one.reason)
    return table


def progress_bars(console: Console, *, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=quiet, transient=True)


def print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())  # noqa: T201
