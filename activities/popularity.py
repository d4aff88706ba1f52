"""The fan-out into product popularity: marks and counts are one transaction."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from activities.fan_out import Resources
from domain.interaction import Interaction
from intake.log import IntakeRow
from store.popularity import PopularityStore, count_popularity
from store.postgres import transaction, undone_transaction


class Popularity:
    name: ClassVar[str] = "popularity"

    def __init__(self, resources: Resources) -> None:
        self._pool = resources.pool
        self._log = resources.log
        self._weights = resources.weights
        self._store = PopularityStore(resources.pool)

    async def apply(self, rows: Sequence[IntakeRow]) -> set[UUID]:
        async with transaction(self._pool) as connection:
            noting = await self._store.is_noting(connection)
            fresh = await self._log.mark(connection, self.name, rows)
            interactions = [one for row in rows if row.intake_id in fresh for one in row.interactions]
            if noting:
                await self._store.note_applied(connection, (one.event_id for one in interactions))
            deltas = count_popularity(interactions, self._weights)
            if deltas:
                await self._store.add(connection, deltas)
        return fresh

    async def probe(self, interactions: Sequence[Interaction]) -> None:
        async with undone_transaction(self._pool) as connection:
            await self._store.add(connection, count_popularity(interactions, self._weights))
