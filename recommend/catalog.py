"""The catalog in columns, item by item in the order of the codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recommend.actions import ActionTable
from recommend.arrays import NONE, Codes, Flags, Floats, Moments


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """Every item that a code stands for; those that only actions know have no category and an empty text."""

    item_ids: Sequence[str]
    text: Sequence[str]
    """Title, description, category, subcategory and tags in one."""
    category: Codes
    subcategory: Codes
    price: Floats
    """NaN: not told."""
    created_us: Moments
    """0: not told."""
    is_active: Flags
    in_stock: Flags
    category_names: Sequence[str]
    subcategory_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.item_ids)


def catalog_ids(table: pa.Table) -> list[str]:
    """The ids that `read_actions` should code by, in the order of the rows."""
    ids: list[str] = table["item_id"].cast(pa.string()).to_pylist()
    return ids


def read_items(table: pa.Table, item_ids: Sequence[str]) -> ItemTable:
    """Columns item_id and any of title, description, category, subcategory, tags, price, created_at_us, is_active,
    in_stock. `item_ids` are those of the actions read with it: the catalog's first, in its order.
    """
    size = len(item_ids)
    category, category_names = _coded(table, "category", size)
    subcategory, subcategory_names = _coded(table, "subcategory", size)
    return ItemTable(
        item_ids,
        _texts(table, size),
        category,
        subcategory,
        _numbers(table, "price", np.nan, size).astype(np.float32),
        _numbers(table, "created_at_us", 0, size).astype(np.int64),
        _numbers(table, "is_active", 1, size).astype(np.bool_),
        _numbers(table, "in_stock", 1, size).astype(np.bool_),
        category_names,
        subcategory_names,
    )


def with_credible_ages(items: ItemTable, actions: ActionTable) -> ItemTable:
    """Without the times of creation that are after an item's first action: a catalog that is told later than the
    interactions has the moment of that, and no item would have been there for the past to turn to.
    """
    first_us = np.full(len(items), np.iinfo(np.int64).max)
    np.minimum.at(first_us, actions.item, actions.at_us)
    return replace(items, created_us=np.where(items.created_us > first_us, 0, items.created_us))


def unknown_items(item_ids: Sequence[str]) -> ItemTable:
    """For a shop without a catalog."""
    return read_items(pa.table({"item_id": pa.array([], pa.string())}), item_ids)


def category_codes(names: Sequence[str]) -> Mapping[str, int]:
    return {name: code for code, name in enumerate(names)}


def _texts(table: pa.Table, size: int) -> list[str]:
    columns = [
        table[name].cast(pa.string()).to_pylist()
        for name in ("title", "description", "category", "subcategory")
        if name in table.column_names
    ]
    if "tags" in table.column_names:
        columns.append([" ".join(tags or ()) for tags in table["tags"].to_pylist()])
    texts = [" ".join(filter(None, parts)) for parts in zip(*columns, strict=True)] if columns else []
    return texts + [""] * (size - len(texts))


def _coded(table: pa.Table, name: str, size: int) -> tuple[Codes, list[str]]:
    codes = np.full(size, NONE, np.int32)
    if name not in table.column_names or not table.num_rows:
        return codes, []
    column = table[name].cast(pa.string())
    names = pc.unique(column).drop_null().sort()
    codes[: table.num_rows] = pc.fill_null(pc.index_in(column, value_set=names), NONE).to_numpy()
    return codes, names.to_pylist()


def _numbers(table: pa.Table, name: str, default: float, size: int) -> Any:
    values = np.full(size, default, np.float64)
    if name in table.column_names:
        values[: table.num_rows] = pc.fill_null(table[name].cast(pa.float64()), default).to_numpy()
    return values
