"""The last rungs: popular items from PostgreSQL, and as last seen where it is gone."""

import asyncio
import logging
from collections.abc import Collection, Sequence

from cachetools import TTLCache

from domain.errors import FootfallError
from domain.event_types import UNITS_PER_POINT
from domain.recommendations import MOST_ITEMS, Answer, Ask, Recommended
from serving.metrics import CACHE_LOOKS
from store.popular_items import PopularItem, PopularItems

_log = logging.getLogger(__name__)

_LOOKED_AT = 1_000
_REFRESH_S = 10.0
_KEPT_S, _MOST_LISTS = 1.0, 1_000
SOURCE = "popular"


class Popular:
    """Answers with what is popular; remembers it for when it can't be read."""

    def __init__(self, items: PopularItems, kept_s: float = _KEPT_S) -> None:
        """What was read answers for `kept_s`: so soon the catalog is felt."""
        self._items = items
        self._seen: Sequence[PopularItem] = ()
        self._lists: TTLCache[str | None, Sequence[PopularItem]] = TTLCache(_MOST_LISTS, kept_s)

    async def answer(self, ask: Ask, unwanted: Collection[str]) -> Answer:
        """From PostgreSQL; what is similar to an item is of its category, if it has one.

        Raises:
            TransientError, PermanentError: it does not answer.

        """
        category = ask.category
        if category is None and ask.item_id is not None:
            category = await self._items.category_of(ask.item_id)
        found = self._lists.get(category)
        CACHE_LOOKS.labels("popular", "miss" if found is None else "hit").inc()
        if found is None:
            found = self._lists[category] = await self._items.top(_LOOKED_AT, category)
        return Answer("popular", _chosen(found, ask, unwanted))

    async def shown(self, made: Answer) -> Answer:
        """What was made ahead, without what the catalog has taken off the shelves since. Raises as `answer`."""
        gone = await self._items.not_shown([one.item_id for one in made.items])
        return made.of([one for one in made.items if one.item_id not in gone])

    def remembered(self, ask: Ask, unwanted: Collection[str]) -> Answer:
        """From memory, which is never older than what PostgreSQL last said; empty before it ever spoke."""
        found = [one for one in self._seen if ask.category is None or one.category == ask.category]
        return Answer("memory", _chosen(found, ask, unwanted))

    async def keep_refreshing(self) -> None:
        """Looks again and again until cancelled."""
        while True:
            try:
                self._seen = await self._items.top(_LOOKED_AT)
            except FootfallError as error:
                _log.warning("popular items could not be read, those last seen stay: %s", error)
            await asyncio.sleep(_REFRESH_S)


def _chosen(items: Sequence[PopularItem], ask: Ask, unwanted: Collection[str]) -> list[Recommended]:
    chosen: list[Recommended] = []
    for one in items:
        if len(chosen) == min(ask.limit, MOST_ITEMS):
            break
        if (
            one.is_active
            and (one.in_stock or not ask.in_stock)
            and one.item_id != ask.item_id
            and one.item_id not in unwanted
        ):
            chosen.append(Recommended(one.item_id, one.score / UNITS_PER_POINT, SOURCE))
    return chosen
