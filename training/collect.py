"""What the stores hold, as Parquet files: the actions of all accounts from their blocks, and the catalog."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from domain.actions import Action, actions_of
from domain.week import week_of, week_start_us
from intake.ledger import now_us
from store.artifacts import Artifacts
from store.blocks.history import HistoryRange, read_history
from store.blocks.protocol import BlockStore, TokenRange
from store.catalog import CatalogStore

ITEMS, PROFILES = "items.parquet", "profiles.parquet"
_PLAN = "collect-plan.json"
_READS_AT_ONCE = 8
_ROWS_A_GROUP = 100_000
_PAGE = 1_000
_ALL = 2**31
_ACCOUNTS_A_WORD = 1_000
_BYTES_AT_ONCE = 1 << 20

_ACTIONS = pa.schema(
    [
        ("account_id", pa.string()),
        ("item_id", pa.string()),
        ("event_type", pa.dictionary(pa.int32(), pa.string())),
        ("occurred_at", pa.int64()),  # microseconds since the Unix epoch
        ("session_id", pa.string()),
        ("recommendation_id", pa.string()),
        ("position", pa.int32()),
        ("price", pa.float64()),
        ("quantity", pa.int32()),
    ]
)
_ITEMS = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("description", pa.string()),
        ("category", pa.string()),
        ("subcategory", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("price", pa.float64()),
        ("created_at_us", pa.int64()),
        ("is_active", pa.bool_()),
        ("in_stock", pa.bool_()),
    ]
)
_PROFILES = pa.schema(
    [
        ("account_id", pa.string()),
        ("preferred_categories", pa.list_(pa.string())),
        ("language", pa.string()),
        ("country", pa.string()),
    ]
)

Write = Callable[[Iterable[msgspec.Struct]], None]


class _Plan(msgspec.Struct):
    """What a run collects. Made once: were it made anew by the next attempt, a cluster that got a node meanwhile
    would have other ranges, and accounts between them be missed.
    """

    first_week: int
    last_week: int
    ranges: list[TokenRange]


def actions_file(place: int) -> str:
    """Of one token range."""
    return f"actions-{place:04}.parquet"


async def collect_actions(
    blocks: BlockStore, folder: Artifacts, scratch: Path, weeks: int, tell: Callable[[str], None]
) -> None:
    """A file a token range; those that are there already are left as they are. `tell` hears how far it is.

    Raises:
        CorruptBlockError: a block can't be read.

    """
    plan = await asyncio.to_thread(_plan, blocks, folder, weeks)
    there = set(await asyncio.to_thread(folder.names))
    accounts = count = 0
    for place, within in enumerate(plan.ranges):
        name = actions_file(place)
        if name in there:
            continue
        with _writing(scratch / name, _ACTIONS) as write:
            async for actions in _actions(blocks, within, plan.first_week, plan.last_week):
                write(actions)
                accounts, count = accounts + 1, count + len(actions)
                if accounts % _ACCOUNTS_A_WORD == 0:
                    tell(f"{count:,} actions of {accounts:,} accounts, range {place + 1} of {len(plan.ranges)}")
        await asyncio.to_thread(folder.put, scratch / name)


def _plan(blocks: BlockStore, folder: Artifacts, weeks: int) -> _Plan:
    made = folder.read(_PLAN)
    if made is not None:
        return msgspec.json.decode(made, type=_Plan)
    this_week = week_of(now_us())
    plan = _Plan(this_week - weeks, this_week, blocks.ranges())
    folder.write(_PLAN, msgspec.json.encode(plan))
    return plan


async def collect_catalog(catalog: CatalogStore, folder: Artifacts, scratch: Path) -> None:
    """All items and profiles, deleted items among them, since accounts dealt with them."""
    await _collect_pages(catalog.items_by_id, "item_id", _ITEMS, folder, scratch / ITEMS)
    await _collect_pages(catalog.profiles_by_id, "account_id", _PROFILES, folder, scratch / PROFILES)


def count_actions(folder: Artifacts) -> int:
    """All that were collected."""
    count = 0
    for name in folder.names():
        if name.startswith("actions-"):
            with folder.open(name) as file:
                count += pq.read_metadata(file).num_rows
    return count


def fingerprint(folder: Artifacts) -> str:
    """SHA-256 over the collected files: the same data has the same."""
    digest = hashlib.sha256()
    for name in folder.names():
        if name.endswith(".parquet"):
            digest.update(name.encode())
            with folder.open(name) as file:
                while some := file.read(_BYTES_AT_ONCE):
                    digest.update(some)
    return digest.hexdigest()


async def _actions(
    blocks: BlockStore, within: TokenRange, first_week: int, last_week: int
) -> AsyncIterator[list[Action]]:
    """Those of a range, some accounts at a time, each account's oldest first."""
    ahead: deque[asyncio.Task[list[Action]]] = deque()
    try:
        async for page in blocks.accounts(within, first_week, last_week):
            for account_id in page:
                ahead.append(asyncio.create_task(_of_account(blocks, account_id, first_week, last_week)))
                if len(ahead) >= _READS_AT_ONCE:
                    yield await ahead.popleft()
        while ahead:
            yield await ahead.popleft()
    finally:
        for read in ahead:
            read.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _of_account(blocks: BlockStore, account_id: str, first_week: int, last_week: int) -> list[Action]:
    all_of_it = HistoryRange(week_start_us(first_week), week_start_us(last_week + 1))
    newest_first = await read_history(blocks, account_id, all_of_it, _ALL)
    return actions_of(reversed(newest_first))


async def _collect_pages(
    page_of: Callable[[str, int], Awaitable[Sequence[Any]]],
    key: str,
    schema: pa.Schema,
    folder: Artifacts,
    file: Path,
) -> None:
    after = ""
    with _writing(file, schema) as write:
        while page := await page_of(after, _PAGE):
            write(page)
            after = getattr(page[-1], key)
    await asyncio.to_thread(folder.put, file)


@contextmanager
def _writing(file: Path, schema: pa.Schema) -> Iterator[Write]:
    """A function that takes rows as they come; they are written in groups."""
    rows: list[msgspec.Struct] = []

    def write_group() -> None:
        columns = [
            pa.array([_plain(getattr(row, name)) for row in rows], schema.field(name).type) for name in schema.names
        ]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        rows.clear()

    def write(some: Iterable[msgspec.Struct]) -> None:
        rows.extend(some)
        if len(rows) >= _ROWS_A_GROUP:
            write_group()

    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield write
        if rows:
            write_group()


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value
