"""The block format against JSON with zstd and plain rows: `python -m bench.block_format [--out FOLDER]`.

Interactions of a made-up shop over 24 weeks, in two shapes: as `footfall import` sends them (one user agent and
address) and as browsers do (a user agent and an address a session). Bytes are those of the data alone, without what a
database adds to a row; plain rows are those of a PostgreSQL table with its key, as it stores them.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
import typer
import zstandard

from bench.machine import describe_hardware
from bench.table import Table, write_page
from bench.train_dictionary import user_agent
from bench.user_agents import USER_AGENTS
from domain.block import decode_block, encode_block
from domain.interaction import Interaction
from domain.week import from_us, week_of, week_start_us
from runtime.demo_shop import DemoShop
from runtime.postgres_server import EmbeddedPostgres

_EVENTS = 400_000
_ACCOUNTS = 500
_ID_BYTES = 16
_START_US = week_start_us(2_900)
_WEEKS_S = 24 * 7 * 86_400
_ROWS = """
CREATE TABLE plain_row (
    account_id text NOT NULL, occurred_at timestamptz NOT NULL, event_id uuid NOT NULL, event_type text NOT NULL,
    ref_type text NOT NULL, ref_id text NOT NULL, account_number bigint, session_id text, user_agent text,
    ip_address text, metadata text, PRIMARY KEY (account_id, occurred_at, event_id)
)
"""


def shop_events(count: int, *, browsers: bool, accounts: int = _ACCOUNTS) -> list[Interaction]:
    """Interactions of so many accounts over 24 weeks, in the order of their times."""
    picker = random.Random(11)
    shop = DemoShop(seed=11, accounts=accounts, rate=count / _WEEKS_S, start_us=_START_US)
    clients: dict[str, tuple[str, str]] = {}
    return [_interaction(picker, event.occurred_at_us, event.fields, clients, browsers) for event in shop.take(count)]


def _interaction(
    picker: random.Random, at_us: int, fields: dict[str, object], clients: dict[str, tuple[str, str]], browsers: bool
) -> Interaction:
    session = str(fields["session_id"])
    if session not in clients:
        (agent,) = picker.choices([text for _, text in USER_AGENTS], [share for share, _ in USER_AGENTS])
        address = ".".join(str(picker.randrange(256)) for _ in range(4))
        clients[session] = (user_agent(picker, agent), address) if browsers else ("python-httpx/0.28.1", "127.0.0.1")
    metadata = fields.get("metadata")
    return msgspec.convert(
        [
            picker.randbytes(_ID_BYTES), fields["account_id"], fields["event_type"], fields["ref_type"],
            fields["ref_id"], at_us, None, session, *clients[session],
            None if metadata is None else msgspec.json.encode(metadata).decode(),
        ],
        Interaction,
    )  # fmt: skip


def groups_by_week(events: Sequence[Interaction]) -> list[list[Interaction]]:
    groups: dict[tuple[str, int], list[Interaction]] = {}
    for one in events:
        groups.setdefault((one.account_id, week_of(one.occurred_at)), []).append(one)
    return list(groups.values())


def _json(interactions: Sequence[Interaction]) -> bytes:
    """Lines of JSON without the account, which is the key there too; absent fields left out."""
    names = [name for name in Interaction.__struct_fields__ if name != "account_id"]
    lines = []
    for one in interactions:
        fields = {name: getattr(one, name) for name in names if getattr(one, name) is not None}
        lines.append(msgspec.json.encode({**fields, "event_id": one.event_id.hex()}))
    return b"\n".join(lines)


def _seconds(work: Callable[[], object]) -> float:
    """The best of three."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def measure_deltas(table: Table, events: Sequence[Interaction], size: int) -> None:
    groups = [events[at : at + size] for at in range(0, 20_000 // size * size, size)]
    groups = [[msgspec.structs.replace(one, account_id="a") for one in group] for group in groups]
    blocks = [encode_block(group, level=1) for group in groups]
    packed = [zstandard.ZstdCompressor(level=1).compress(_json(group)) for group in groups]
    sizes = sorted(map(len, blocks))
    count = len(blocks)
    words = "one interaction" if size == 1 else f"{size} interactions"
    target = "≤ 120" if size == 1 else ""
    table.add(f"delta of {words}, ids and header with it: mean bytes", sum(sizes) / count, target)
    table.add(f"delta of {words}: p95 bytes", sizes[int(count * 0.95)])
    table.add(f"JSON with zstd of {words}: mean bytes", sum(map(len, packed)) / count)
    encoding = _seconds(lambda: [encode_block(group, level=1) for group in groups])
    table.add(f"delta of {words}: encode µs", encoding / count * 1e6)
    table.add(
        f"delta of {words}: decode µs", _seconds(lambda: [decode_block(one, "a") for one in blocks]) / count * 1e6
    )


def measure_sealed(table: Table, groups: list[list[Interaction]]) -> None:
    events = sum(map(len, groups))
    blocks = [encode_block(group, level=9) for group in groups]
    compressor, expander = zstandard.ZstdCompressor(level=9), zstandard.ZstdDecompressor()
    packed = [compressor.compress(_json(group)) for group in groups]
    ours, json = sum(map(len, blocks)) / events, sum(map(len, packed)) / events
    table.add("interactions in a sealed block, mean", events / len(groups))
    table.add("sealed, without the ids: bytes an interaction", ours - _ID_BYTES, "≤ 24")
    table.add("sealed, all: bytes an interaction", ours)
    table.add("JSON with zstd, all: bytes an interaction", json)
    table.add("JSON with zstd by sealed, bytes", json / ours)
    ours_s = _seconds(lambda: [decode_block(one, "a") for one in blocks])
    json_s = _seconds(
        lambda: [[msgspec.json.decode(line) for line in expander.decompress(one).split(b"\n")] for one in packed]
    )
    table.add("sealed: decode µs an interaction", ours_s / events * 1e6)
    table.add("JSON with zstd: decode µs an interaction, to dicts", json_s / events * 1e6)
    table.add("JSON with zstd by sealed, decode time", json_s / ours_s)
    encode_s = _seconds(lambda: [encode_block(group, level=9) for group in groups])
    table.add("sealed: encode µs an interaction", encode_s / events * 1e6)


async def measure_rows(table: Table, url: str, groups: list[list[Interaction]], sealed_bytes: float) -> None:
    """The same interactions as rows: their size, and how long all of an account's weeks take to read."""
    events = sum(map(len, groups))
    connection = await asyncpg.connect(url)
    await connection.execute(_ROWS)
    records = [
        (one.account_id, from_us(one.occurred_at), UUID(bytes=one.event_id), one.event_type, one.ref_type, one.ref_id,
         one.account_number, one.session_id, one.user_agent, one.ip_address, one.metadata)
        for group in groups for one in group
    ]  # fmt: skip
    await connection.copy_records_to_table("plain_row", records=records)
    size = await connection.fetchval("SELECT pg_total_relation_size('plain_row')")
    started = time.perf_counter()
    rows = await connection.fetch("SELECT * FROM plain_row LIMIT 50000")
    table.add("plain rows with their key: bytes an interaction", size / events)
    table.add("plain rows by sealed, bytes", size / events / sealed_bytes)
    table.add("plain rows: µs an interaction to read", (time.perf_counter() - started) / len(rows) * 1e6)
    await connection.execute("DROP TABLE plain_row")
    await connection.close()


def main(out: Annotated[Path | None, typer.Option(help="Folder for block_format.md and .json.")] = None) -> None:
    tables: dict[str, Table] = {}
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "postgres", Path(folder) / "logs")
        postgres.start()
        for heading, browsers in (("As imported", False), ("From browsers", True)):
            print(heading)
            table = tables[heading] = Table()
            events = shop_events(_EVENTS, browsers=browsers)
            groups = groups_by_week(events)
            measure_deltas(table, events, 1)
            measure_deltas(table, events, 2)
            measure_sealed(table, groups)
            sealed_bytes = table.values["sealed, all: bytes an interaction"][0]
            asyncio.run(measure_rows(table, postgres.url, groups, sealed_bytes))
        postgres.stop()
    if out is not None:
        write_page(out, "block_format", "The block format", describe_hardware(), tables)


if __name__ == "__main__":
    typer.run(main)
