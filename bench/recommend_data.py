"""What the quality of recommendations is measured on: a planted shop, and MovieLens-100k from a folder or a zip."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from domain.event_types import load_event_weights
from recommend.actions import ActionTable, read_actions
from recommend.arrays import Floats, Places, floats
from recommend.catalog import ItemTable, catalog_ids, read_items
from recommend.planted import Laws, plant
from runtime.importing.line_formats import FORMATS


@dataclass(frozen=True, slots=True)
class Shop:
    actions: ActionTable
    items: ItemTable
    laws: Laws | None = None
    """Of a planted one."""


def planted_shop(accounts: int, items: int, events: int, seed: int) -> Shop:
    planted = plant(accounts=accounts, items=items, events=events, seed=seed)
    return _shop(planted.actions, planted.items, planted.laws)


def movielens_shop(path: Path) -> Shop:
    """u.data and u.item of a folder, or of a zip in which they lie at any depth."""
    ratings = [FORMATS["movielens"].parse(line) for line in _lines(path, "u.data")]
    films = [FORMATS["movielens u.item"].parse(line).fields for line in _lines(path, "u.item")]
    actions = pa.table(
        {
            "account_id": pa.array([one.fields["account_id"] for one in ratings]),
            "item_id": pa.array([one.fields["ref_id"] for one in ratings]),
            "event_type": pa.array([one.fields["event_type"] for one in ratings]),
            "occurred_at": pa.array([one.occurred_at_us for one in ratings], pa.int64()),
        }
    )
    catalog = pa.table(
        {
            "item_id": pa.array([one["item_id"] for one in films]),
            "title": pa.array([one["title"] for one in films]),
            "category": pa.array([one.get("category") for one in films], pa.string()),
            "tags": pa.array([one["tags"] for one in films], pa.list_(pa.string())),
            "created_at_us": pa.array([_us(one.get("created_at")) for one in films], pa.int64()),
        }
    )
    return _shop(actions, catalog)


def oracle_scores(shop: Shop, places: Places, *, knows_companions: bool) -> Floats:
    """Of each question the chances by the shop's laws, which know the account's tastes and its visit's last item."""
    assert shop.laws is not None, "only a planted shop has laws"
    actions = shop.actions
    item_number = np.array([_number(one) for one in actions.item_ids])
    rows = []
    for place in places.tolist():
        is_same_visit = (
            place > 0
            and actions.account[place - 1] == actions.account[place]
            and actions.session[place - 1] == actions.session[place]
        )
        last = int(item_number[actions.item[place - 1]]) if is_same_visit else None
        account = _number(actions.account_ids[actions.account[place]])
        at_us = int(actions.at_us[place])
        chances = shop.laws.next_item(account, last, at_us, knows_companions=knows_companions)
        rows.append(chances[item_number])
    return floats(np.stack(rows))


def _shop(actions: pa.Table, catalog: pa.Table, laws: Laws | None = None) -> Shop:
    read = read_actions(actions, load_event_weights(), catalog_ids(catalog))
    return Shop(read, read_items(catalog, read.item_ids), laws)


def _number(planted_id: str) -> int:
    return int(planted_id.rsplit("-", 1)[1])


def _us(created_at: str | None) -> int | None:
    return None if created_at is None else int(datetime.fromisoformat(created_at).timestamp()) * 1_000_000


def _lines(path: Path, name: str) -> Iterator[str]:
    if path.is_dir():
        content = (path / name).read_bytes()
    else:
        with zipfile.ZipFile(path) as archive:
            member = next((one for one in archive.namelist() if one.rsplit("/", 1)[-1] == name), None)
            if member is None:
                raise FileNotFoundError(f"{path} holds no {name}")
            content = archive.read(member)
    return (line for line in content.decode("latin-1").splitlines() if line.strip())
