"""What the catalog says now, where it differs from what the model was trained with: serving refreshes it often."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.catalog import Item
from recommend.arrays import DAY_US, NONE, Codes, Flags, Floats, Moments
from recommend.model import Model
from recommend.popular import ITEM_FEATURES
from recommend.rules import Rules

_MOST_NEW = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class NewItems:
    """Items that too little is known of to be ranked, newest first."""

    item_ids: Sequence[str]
    vectors: Floats
    """Item by content dimension, of length 1."""
    category: Codes
    in_stock: Flags
    created_us: Moments

    def vector(self, item_id: str | None) -> Floats | None:
        return self.vectors[self.item_ids.index(item_id)] if item_id in self.item_ids else None


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    is_active: Flags
    """By the model's codes."""
    in_stock: Flags
    """By the model's codes."""
    new: NewItems


def stocked(model: Model, changed: Sequence[Item], now_us: int, rules: Rules | None = None) -> Shelf:
    """The model's catalog with the items that changed since; of an item the last one in `changed` counts.

    What the shop has blocked by category is not on it.
    """
    rules = rules or Rules()
    items = model.parts.items
    is_active, in_stock = items.is_active.copy(), items.in_stock.copy()
    unknown: dict[str, Item] = {}
    for one in changed:
        shown = one.is_active and one.deleted_at_us is None and one.category not in rules.blocked_categories
        code = model.item_codes.get(one.item_id)
        if code is not None:
            is_active[code], in_stock[code] = shown, one.in_stock
        elif shown:
            unknown[one.item_id] = one
        else:
            unknown.pop(one.item_id, None)
    blocked = [code for code in map(model.category_codes.get, rules.blocked_categories) if code is not None]
    is_active &= ~np.isin(items.category, blocked)
    return Shelf(is_active, in_stock, _new(model, list(unknown.values()), is_active, in_stock, now_us, rules))


def _new(
    model: Model, unknown: Sequence[Item], is_active: Flags, in_stock: Flags, now_us: int, rules: Rules
) -> NewItems:
    items, snapshot = model.parts.items, model.parts.snapshot
    accounts = np.expm1(snapshot.features[:, ITEM_FEATURES.index("item_accounts")])
    young = is_active & (items.created_us > now_us - rules.new_days * DAY_US) & (accounts < rules.new_accounts)
    codes = np.flatnonzero(young)
    categories = model.category_codes
    created_us = np.concatenate([items.created_us[codes], np.array([one.created_at_us for one in unknown], np.int64)])
    newest = np.argsort(-created_us, kind="stable")[:_MOST_NEW]
    ids = [*(items.item_ids[code] for code in codes.tolist()), *(one.item_id for one in unknown)]
    vectors = np.concatenate(
        [model.parts.content.item_vectors[codes], model.parts.content.vectors_of([text_of(one) for one in unknown])]
    )
    category = [categories.get(one.category, NONE) if one.category else NONE for one in unknown]
    return NewItems(
        [ids[place] for place in newest],
        vectors[newest],
        np.concatenate([items.category[codes], np.array(category, np.int32)])[newest],
        np.concatenate([in_stock[codes], np.array([one.in_stock for one in unknown], np.bool_)])[newest],
        created_us[newest],
    )


def text_of(item: Item) -> str:
    """The words that an item's content is known by, as `read_items` puts them together."""
    return " ".join(filter(None, (item.title, item.description, item.category, item.subcategory, *item.tags)))
