"""What a ledger id takes on disk, and how fast ids go in, by how the table is laid out.

`python -m bench.ledger_layouts [--ids 1000000] [--out FOLDER]`, in a PostgreSQL of its own.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from bench.machine import describe_hardware
from bench.peers.postgres import peer_postgres
from bench.stack import data_folder
from bench.table import Table, write_page

_A_STATEMENT = 10_000


@dataclass(frozen=True)
class _Layout:
    columns: str
    constraint: str
    values: str


LAYOUTS = {
    "as it is: day, id and intake row, an index of day and id": _Layout(
        "day date NOT NULL, event_id uuid NOT NULL, intake_id uuid NOT NULL",
        "PRIMARY KEY (day, event_id)",
        "current_date, event_id, intake_id",
    ),
    "an index of the id alone": _Layout(
        "event_id uuid NOT NULL, intake_id uuid NOT NULL, day date NOT NULL",
        "PRIMARY KEY (event_id)",
        "event_id, intake_id, current_date",
    ),
    "four bytes for the intake row": _Layout(
        "event_id uuid NOT NULL, day date NOT NULL, intake integer NOT NULL",
        "PRIMARY KEY (event_id)",
        "event_id, current_date, 1",
    ),
    "nothing but the id": _Layout("event_id uuid NOT NULL", "PRIMARY KEY (event_id)", "event_id"),
    "nothing but the id, a hash index": _Layout(
        "event_id uuid NOT NULL", "EXCLUDE USING hash (event_id WITH =)", "event_id"
    ),
}
_IDS = {"random ids": "gen_random_uuid()", "ids in the order of their time": "uuidv7()"}


async def _measure(url: str, ids: int) -> dict[str, Table]:
    connection = await asyncpg.connect(url)
    tables = {kind: Table() for kind in _IDS}
    for kind, new_id in _IDS.items():
        print(kind)
        for name, layout in LAYOUTS.items():
            await _fill(connection, tables[kind], name, layout, new_id, ids)
    await connection.close()
    return tables


async def _fill(
    connection: "asyncpg.Connection[asyncpg.Record]", table: Table, name: str, layout: _Layout, new_id: str, ids: int
) -> None:
    await connection.execute(
        f"DROP TABLE IF EXISTS ledger; CREATE TABLE ledger ({layout.columns}, {layout.constraint})"
    )
    new = f"SELECT {new_id} AS event_id, gen_random_uuid() AS intake_id FROM generate_series(1, {_A_STATEMENT})"
    insert = f"INSERT INTO ledger SELECT {layout.values} FROM ({new}) AS new ON CONFLICT DO NOTHING"
    await connection.execute("CHECKPOINT")
    started = time.perf_counter()
    for _ in range(0, ids, _A_STATEMENT):
        await connection.execute(insert)
    table.add(f"{name}: ids/s", ids / (time.perf_counter() - started))
    sizes = await connection.fetchrow("SELECT pg_relation_size('ledger'), pg_indexes_size('ledger')")
    assert sizes is not None
    table.add(f"{name}: bytes an id", sum(sizes) / ids)
    await connection.execute("REINDEX TABLE ledger")
    packed = await connection.fetchval("SELECT pg_indexes_size('ledger')")
    table.add(f"{name}: bytes an id, its index built anew", (sizes[0] + packed) / ids)


def main(
    ids: Annotated[int, typer.Option(help="Ids that each table gets.")] = 1_000_000,
    out: Annotated[Path | None, typer.Option(help="Folder for the page and the figures.")] = None,
) -> None:
    with data_folder() as folder, peer_postgres(folder) as url:
        tables = asyncio.run(_measure(url, ids))
    if out is not None:
        write_page(out, "ledger_layouts", "A ledger id on disk", describe_hardware(), tables)


if __name__ == "__main__":
    typer.run(main)
