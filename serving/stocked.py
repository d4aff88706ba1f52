"""A model and what the catalog says now: items that left the shelves since it was trained, came back, or are new."""

import asyncio
import logging
import time

from domain.catalog import Item
from domain.week import from_us
from recommend.model import Model
from recommend.rules import Rules
from recommend.shelf import stocked
from serving.metrics import FAILURES
from store.catalog import AfterChange, CatalogStore

_log = logging.getLogger(__name__)

_PAGE = 1_000


class StockedModel:
    """`shelf` is replaced as a whole: who answers goes on with the one he got."""

    def __init__(self, model: Model, catalog: CatalogStore, rules: Rules) -> None:
        self.model = model
        self.shelf = stocked(model, (), time.time_ns() // 1_000, rules)
        self._catalog = catalog
        self._rules = rules
        self._changed: dict[str, Item] = {}
        # The catalog was collected after the last action: what changed in between is read again, and changes nothing.
        self._after = AfterChange(from_us(model.trained_until_us), "")
        for part, why in model.lacking.items():
            FAILURES.labels(part).inc()
            _log.warning("model %s lacks its %s: %s", model.version, part, why)

    async def follow(self) -> None:
        """Takes in what changed since the last time.

        Raises:
            TransientError, PermanentError: the catalog does not answer; what it said last holds.

        """
        some = False
        while changed := await self._catalog.changed_items(_PAGE, self._after):
            some = True
            self._changed.update((item.item_id, item) for item in changed)
            self._after = AfterChange(from_us(changed[-1].changed_at_us), changed[-1].item_id)
        if some:
            items = list(self._changed.values())
            self.shelf = await asyncio.to_thread(stocked, self.model, items, time.time_ns() // 1_000, self._rules)
