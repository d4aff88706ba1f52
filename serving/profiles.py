"""What accounts said of themselves, remembered for a while: a layer of cache with its hit rate."""

from collections.abc import Sequence

from cachetools import TTLCache

from serving.metrics import CACHE_LOOKS
from store.catalog import CatalogStore

_MOST, _KEPT_S = 100_000, 60.0


class Profiles:
    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self._kept: TTLCache[str, Sequence[str]] = TTLCache(_MOST, _KEPT_S)

    async def preferred(self, account_id: str) -> Sequence[str]:
        """The categories that an account prefers, at most a minute old; none where it said nothing. Raises as the
        catalog does.
        """
        kept = self._kept.get(account_id)
        CACHE_LOOKS.labels("profiles", "miss" if kept is None else "hit").inc()
        if kept is None:
            profile = await self._catalog.profile(account_id)
            kept = () if profile is None or profile.deleted_at_us else profile.preferred_categories
            self._kept[account_id] = kept
        return kept
