"""Popular items with what the catalog says of them: what recommendations stand on when all else is gone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from store.postgres import Pool, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "popular_items.sql")


@dataclass(frozen=True, slots=True)
class PopularItem:
    item_id: str
    score: int
    """In millionths."""
    category: str | None
    is_active: bool
    in_stock: bool


class PopularItems:
    """What the shop has blocked, by item or by category, is as what the catalog has as inactive.

    Its methods raise TransientError or PermanentError.
    """

    def __init__(
        self, pool: Pool, blocked: frozenset[str] = frozenset(), blocked_categories: frozenset[str] = frozenset()
    ) -> None:
        self._pool = pool
        self._blocked = blocked
        self._blocked_categories = blocked_categories

    async def top(self, limit: int, category: str | None = None) -> list[PopularItem]:
        """By score, highest first; of all items, or of a category's."""
        with translated_errors():
            if category is None:
                rows = await self._pool.fetch(_QUERIES["popular_items"], limit)
            else:
                rows = await self._pool.fetch(_QUERIES["popular_items_of_category"], limit, category)
        return [self._item(PopularItem(*row.values())) for row in rows]

    async def category_of(self, item_id: str) -> str | None:
        """None where the catalog has none, or does not know the item."""
        with translated_errors():
            category: str | None = await self._pool.fetchval(_QUERIES["category_of"], item_id)
        return category

    async def not_shown(self, item_ids: Sequence[str]) -> set[str]:
        """Those that the catalog has as inactive."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["not_shown"], item_ids, list(self._blocked_categories))
        return {row["item_id"] for row in rows} | self._blocked.intersection(item_ids)

    def _item(self, item: PopularItem) -> PopularItem:
        if item.item_id in self._blocked or item.category in self._blocked_categories:
            return replace(item, is_active=False)
        return item
