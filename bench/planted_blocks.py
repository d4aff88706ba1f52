"""A planted shop in the stores, as if it had been recorded: its blocks and its catalog."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from activities.persist import delta_blocks
from domain.catalog import NewItem
from domain.interaction import PRODUCT, Interaction
from domain.week import to_us
from intake.log import IntakeRow
from recommend.planted import PlantedShop
from store.blocks.protocol import BlockStore
from store.catalog import CatalogStore

_ROW = 2_000
_ITEMS = 1_000


async def record_planted(shop: PlantedShop, blocks: BlockStore, catalog: CatalogStore) -> None:
    """The newest action has just happened."""
    shift_us = to_us(datetime.now(UTC)) - max(shop.actions["occurred_at"].to_pylist())
    items = list(_items(shop, shift_us))
    for start in range(0, len(items), _ITEMS):
        await catalog.put_items(items[start : start + _ITEMS])
    events = list(_events(shop, shift_us))
    for start in range(0, len(events), _ROW):
        row = IntakeRow(uuid4(), datetime.now(UTC), events[start : start + _ROW])
        await blocks.write(list(delta_blocks(row)))


def _events(shop: PlantedShop, shift_us: int) -> Iterator[Interaction]:
    """Those of an account follow each other, so that its blocks hold more than one, as after compaction."""
    ids = random.Random(1)
    names = ("account_id", "event_type", "item_id", "occurred_at", "session_id")
    for account, event_type, item, at_us, session in zip(
        *(shop.actions[name].to_pylist() for name in names), strict=True
    ):
        yield Interaction(ids.randbytes(16), account, event_type, PRODUCT, item, at_us + shift_us, session_id=session)


def _items(shop: PlantedShop, shift_us: int) -> Iterator[NewItem]:
    for one in shop.items.to_pylist():
        yield NewItem(
            item_id=one["item_id"],
            title=one["title"],
            category=one["category"],
            price=Decimal(str(one["price"])),
            created_at_us=one["created_at_us"] + shift_us,
        )
