"""`footfall blocks`: what an account's blocks are, and compaction on demand."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from rich.console import Console
from rich.table import Table
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from domain.batch import TASK_QUEUE
from domain.block import decode_block
from domain.compaction import COMPACT_BLOCKS, PROGRESS, CompactionInput, CompactionProgress, CompactionResult
from domain.errors import CorruptBlockError
from domain.readable import readable
from domain.week import WEEKS_KEPT, from_us, monday_of, to_us, week_of
from runtime.connections import connected_client, open_block_store, open_pool
from runtime.settings import Settings
from store.blocks.protocol import Block, WeekMetadata

_POOL_SIZE = 2
_LOOK_EVERY_S = 0.5
_QUERY_PATIENCE = timedelta(seconds=2)


async def inspect(settings: Settings, account_id: str, console: Console) -> None:
    """Prints an account's blocks of the weeks in keep, newest first, and what compaction noted of its weeks."""
    this_week = week_of(to_us(datetime.now(UTC)))
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, "footfall blocks", _POOL_SIZE))
        store = await stack.enter_async_context(open_block_store(settings, pool))
        blocks = await store.read(account_id, this_week - WEEKS_KEPT, this_week)
        metadata = await store.metadata(account_id)
    if not blocks:
        console.print(f"no blocks of {account_id!r} in the last {WEEKS_KEPT} weeks", highlight=False, markup=False)
        return
    console.print(_blocks_table(blocks))
    if metadata:
        console.print(_metadata_table(metadata))


async def compact(
    settings: Settings, console: Console, *, weeks_back: int, events_a_second: int | None
) -> CompactionResult:
    """Starts a compaction in Temporal and waits for it; should this process end, the compaction goes on."""
    client = await connected_client(settings)
    request = CompactionInput(weeks_back, events_a_second)
    handle: WorkflowHandle[object, CompactionResult] = await client.start_workflow(
        COMPACT_BLOCKS,
        request,
        id=f"{COMPACT_BLOCKS}-{uuid4()}",
        task_queue=TASK_QUEUE,
        result_type=CompactionResult,
    )
    console.print(f"compaction runs as workflow {handle.id}", highlight=False, soft_wrap=True)
    result = asyncio.create_task(handle.result())
    with console.status("waiting for a worker …") as status:
        while not result.done():
            status.update(await _progress(handle))
            await asyncio.wait([result], timeout=_LOOK_EVERY_S)
    return await result


def print_result(done: CompactionResult, console: Console) -> None:
    table = Table(
        "", "before", "after", title=f"{done.weeks_folded:,} weeks of accounts, {done.events:,} interactions"
    )
    table.add_row("blocks", f"{done.blocks_before:,}", f"{done.blocks_after:,}")
    table.add_row("bytes", f"{done.bytes_before:,}", f"{done.bytes_after:,}")
    table.add_row("bytes an interaction", _each(done.bytes_before, done.events), _each(done.bytes_after, done.events))
    console.print(table)
    for name in done.unreadable_named:
        console.print(f"unreadable, left alone: {name}", style="red", highlight=False, markup=False)


async def _progress(handle: WorkflowHandle[object, CompactionResult]) -> str:
    try:
        now = await handle.query(PROGRESS, result_type=CompactionProgress, rpc_timeout=_QUERY_PATIENCE)
    except RPCError:
        return "waiting for a worker …"
    done = now.done
    return f"{done.ranges} ranges done, {now.ranges_left} left; {done.events:,} interactions folded"


def _blocks_table(blocks: Sequence[Block]) -> Table:
    table = Table("week of", "block", "kind", "interactions", "bytes", "each", "JSON by it")
    for column in table.columns[3:]:
        column.justify = "right"
    known_events = known_bytes = json_bytes = 0
    for block in blocks:
        size, as_json = len(block.data), _json_bytes(block)
        table.add_row(
            monday_of(block.week).isoformat(),
            str(block.block_id),
            "sealed" if block.sealed else "delta",
            f"{block.event_count:,}",
            f"{size:,}",
            _each(size, block.event_count),
            "unreadable" if as_json is None else f"{as_json / size:.1f}",
        )
        if as_json is not None:
            known_events, known_bytes, json_bytes = (
                known_events + block.event_count,
                known_bytes + size,
                json_bytes + as_json,
            )
    table.add_section()
    weeks = len({block.week for block in blocks})
    ratio = f"{json_bytes / known_bytes:.1f}" if known_bytes else ""
    total = [f"{len(blocks):,} in {weeks} weeks", "", f"{known_events:,}", f"{known_bytes:,}"]
    table.add_row("all", *total, _each(known_bytes, known_events), ratio)
    return table


def _metadata_table(weeks: Sequence[WeekMetadata]) -> Table:
    table = Table("week of", "interactions", "bytes", "first", "last", title="as of their last compaction")
    for one in weeks:
        table.add_row(
            monday_of(one.week).isoformat(),
            f"{one.event_count:,}",
            f"{one.byte_count:,}",
            f"{from_us(one.first_at_us):%Y-%m-%d %H:%M:%S}",
            f"{from_us(one.last_at_us):%Y-%m-%d %H:%M:%S}",
        )
    return table


def _json_bytes(block: Block) -> int | None:
    """The size of the same interactions as lines of JSON, or None where the block can't be read."""
    try:
        interactions = decode_block(block.data, block.account_id)
    except CorruptBlockError:
        return None
    return sum(len(msgspec.json.encode(one)) + 1 for one in readable(interactions))


def _each(total: int, count: int) -> str:
    return f"{total / count:.1f}" if count else ""
