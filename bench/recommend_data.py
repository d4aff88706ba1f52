"""What the quality of recommendations is measured on: a planted shop, and MovieLens-100k from a folder or a zip."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from domain.event_types import load_event_weights
from recommend.actions import ActionTable, read_actions
from recommend.arrays import Floats, Places, floats
from recommend.catalog import ItemTable, catalog_ids, read_items, with_credible_ages
from recommend.leanings import leanings
from recommend.moves import moves_between
from recommend.planted import Laws, plant
from recommend.questions import question
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
    laws, number = _laws(shop), _item_numbers(shop)
    rows = []
    for place in places.tolist():
        at_us, last = int(shop.actions.at_us[place]), _last_of_visit(shop, place)
        account = _number(shop.actions.account_ids[shop.actions.account[place]])
        last_number = None if last is None else int(number[last])
        rows.append(laws.next_item(account, last_number, at_us, knows_companions=knows_companions)[number])
    return floats(np.stack(rows))


class Observer:
    """Told what the log tells little of: each item's taste, and its popularity at each moment; not what companions it
    has, nor what tastes accounts have, which are to be read from the actions. Its lead over us is what could still be
    learned of items; the oracle's lead over it is what nobody can know from this log, or hardly.
    """

    def __init__(self, shop: Shop, known: ActionTable) -> None:
        self._shop, self._laws, self._number = shop, _laws(shop), _item_numbers(shop)
        self._taste = self._laws.taste_of_item[self._number]
        self._moves = moves_between(known, self._taste)
        tastes = len(self._moves.arriving)
        self._apart = replace(self._moves, onward=np.eye(tastes, dtype=np.float32))

    def scores(self, places: Places) -> Floats:
        return floats(np.stack([self._chances(place) for place in places.tolist()]))

    def _chances(self, place: int) -> Floats:
        asked, last = question(self._shop.actions, place), _last_of_visit(self._shop, place)
        weights = self._laws.weights_at(asked.now_us)[self._number]
        share = weights / np.bincount(self._taste, weights)[self._taste]
        tastes = leanings(self._apart, asked.history).account
        anywhere, stay = self._laws.noise * weights / weights.sum(), self._laws.stay
        if last is None:
            return floats(anywhere + (1 - self._laws.noise) * tastes[self._taste] * share)
        tastes = (1 - stay) * tastes
        tastes[self._taste[last]] += stay
        expected = anywhere + (1 - self._laws.noise) * tastes[self._taste] * share
        everything = np.arange(len(share), dtype=np.int32)
        beyond = self._moves.beyond_groups(last, everything)
        return floats(beyond + self._moves.left[last] * expected)


def _last_of_visit(shop: Shop, place: int) -> int | None:
    """The item before, where it is of the same visit."""
    actions = shop.actions
    is_same = (
        place > 0
        and actions.account[place - 1] == actions.account[place]
        and actions.session[place - 1] == actions.session[place]
    )
    return int(actions.item[place - 1]) if is_same else None


def _laws(shop: Shop) -> Laws:
    if shop.laws is None:
        raise ValueError("only a planted shop has laws")
    return shop.laws


def _item_numbers(shop: Shop) -> Places:
    return np.array([_number(one) for one in shop.actions.item_ids])


def _shop(actions: pa.Table, catalog: pa.Table, laws: Laws | None = None) -> Shop:
    read = read_actions(actions, load_event_weights(), catalog_ids(catalog))
    return Shop(read, with_credible_ages(read_items(catalog, read.item_ids), read), laws)


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
