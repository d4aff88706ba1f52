"""The planted shop that answers are measured on: a model in files, and its accounts' doings in the servers."""

import os
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.actions import Action
from domain.event_types import load_event_weights
from domain.ids import new_id_bytes
from domain.recommendations import MOST_ITEMS, Answer, Reason, Recommended
from domain.week import from_us
from recommend.actions import read_actions
from recommend.candidates import CandidateSettings
from recommend.catalog import catalog_ids, read_items
from recommend.model import Model
from recommend.planted import plant
from recommend.training import TrainingSettings, train
from store.models import ModelRegistry
from store.postgres import create_pool, transaction
from store.precomputed import PrecomputedStore
from store.signals import RECENT, now_us
from store.signals_postgres import PostgresSignalStore

VERSION = "planted"
_WIDER = CandidateSettings(collaborative=450, next=300, content=450, popular=200, trending=50)
"""So wide that without duplicates about 1,000 are left."""
_A_TIME = 1_000


@dataclass(frozen=True)
class Shop:
    """Actions end an hour before the shop was made ready."""

    folder: Path
    actions: pa.Table
    items: pa.Table

    @property
    def account_ids(self) -> list[str]:
        ids: list[str] = pc.unique(self.actions["account_id"].cast(pa.string())).to_pylist()
        return ids

    @property
    def categories(self) -> dict[str, str]:
        """By item."""
        return dict(zip(self.items["item_id"].to_pylist(), self.items["category"].to_pylist(), strict=True))


def made_ready(folder: Path, accounts: int, items: int, events: int) -> Shop:
    """The shop and its model, in `folder`; made where they are not there."""
    if not (folder / "ready").exists():
        _make(folder, accounts, items, events)
    return Shop(folder, pq.read_table(folder / "actions.parquet"), pq.read_table(folder / "items.parquet"))


def _make(folder: Path, accounts: int, items: int, events: int) -> None:
    planted = plant(accounts=accounts, items=items, events=events)
    ends_us = pc.max(planted.actions["occurred_at"]).as_py()
    later_us = now_us() - 3_600_000_000 - ends_us
    actions, catalog = (
        _later(table, column, later_us)
        for table, column in ((planted.actions, "occurred_at"), (planted.items, "created_at_us"))
    )
    known = read_actions(actions, load_event_weights(), catalog_ids(catalog))
    settings = TrainingSettings(candidates=_WIDER, questions=4_000, threads=os.cpu_count() or 1)
    started = time.perf_counter()
    parts, ranker = train(known, read_items(catalog, known.item_ids), settings)
    print(f"trained in {time.perf_counter() - started:.0f} s", flush=True)
    Model(VERSION, parts, known.kinds, ranker, replace(_WIDER, small_catalog=0)).to_folder(folder / "model")
    pq.write_table(actions, folder / "actions.parquet")
    pq.write_table(catalog, folder / "items.parquet")
    (folder / "ready").touch()


def _later(table: pa.Table, column: str, by_us: int) -> pa.Table:
    place = table.column_names.index(column)
    return table.set_column(place, column, pc.add(table[column], by_us))


async def furnish(shop: Shop, database_url: str, api_url: str) -> None:
    """Brings all that the shop has into the servers, and makes the model current."""
    await _put_items(shop, api_url)
    async with create_pool(database_url, name="bench", size=2, timeout_s=300) as pool:
        await ModelRegistry(pool).register(VERSION, str(shop.folder), "planted", {})
        await ModelRegistry(pool).activate(VERSION)
        store = PostgresSignalStore(pool)
        await store.maintain()
        accounts = list(actions_by_account(shop).values())
        for start in range(0, len(accounts), _A_TIME):
            some = [one for of_account in accounts[start : start + _A_TIME] for one in of_account]
            async with transaction(pool) as connection:
                await store.add(connection, some)
        await _make_ahead(shop, PrecomputedStore(pool))
        await pool.execute(
            "INSERT INTO product_popularity SELECT item_id, (1000000 * random())::int, 1, 0, 0, 0, 0, now() FROM item"
        )
        await pool.execute("VACUUM ANALYZE")


async def _put_items(shop: Shop, api_url: str) -> None:
    rows: list[dict[str, Any]] = shop.items.select(["item_id", "title", "category", "price"]).to_pylist()
    created = [from_us(one).isoformat() for one in shop.items["created_at_us"].to_pylist()]
    whole = [
        {**row, "price": f"{row['price']:.2f}", "currency": "EUR", "created_at": at}
        for row, at in zip(rows, created, strict=True)
    ]
    async with httpx.AsyncClient(base_url=api_url, timeout=60) as http:
        for start in range(0, len(whole), _A_TIME):
            answer = await http.put("/items", json={"items": whole[start : start + _A_TIME]})
            answer.raise_for_status()


def actions_by_account(shop: Shop) -> dict[str, list[Action]]:
    """Those that signals keep, of each account the newest first."""
    table = shop.actions.filter(pc.greater(shop.actions["occurred_at"], RECENT.since_us(now_us())))
    table = table.sort_by([("occurred_at", "descending")])
    by_account: dict[str, list[Action]] = {}
    columns = [
        table[name].to_pylist() for name in ("account_id", "item_id", "event_type", "occurred_at", "session_id")
    ]
    for account_id, item_id, event_type, at_us, session_id in zip(*columns, strict=True):
        action = Action(account_id, item_id, event_type, at_us, new_id_bytes(), session_id)
        by_account.setdefault(account_id, []).append(action)
    return by_account


async def _make_ahead(shop: Shop, store: PrecomputedStore) -> None:
    """A hundred items for every account: what they are makes no difference to what reading them takes."""
    picker, ids = random.Random(1), shop.items["item_id"].to_pylist()
    accounts = shop.account_ids
    for start in range(0, len(accounts), _A_TIME):
        made = {one: _list(picker.sample(ids, MOST_ITEMS)) for one in accounts[start : start + _A_TIME]}
        await store.write(made)


def _list(items: list[str]) -> Answer:
    recommended = [Recommended(one, 0.5, "next", Reason("viewed", f"because you viewed {one}", one)) for one in items]
    return Answer("ranked", recommended, VERSION, None, now_us())
