"""The fan-out into recommendations: what accounts do becomes their signals, which every answer reads."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from activities.fan_out import Resources
from domain.actions import Action, actions_of, signal_types
from domain.interaction import Interaction
from intake.log import IntakeRow
from store.postgres import transaction


class Recommendations:
    name: ClassVar[str] = "recommendations"

    def __init__(self, resources: Resources) -> None:
        self._pool = resources.pool
        self._log = resources.log
        self._signals = resources.signals
        self._types = signal_types(resources.weights)

    async def apply(self, rows: Sequence[IntakeRow]) -> set[UUID]:
        """Whatever fails before the commit leaves no mark; signals outside PostgreSQL may be there then, and are
        written once more, which changes nothing.
        """
        async with transaction(self._pool) as connection:
            fresh = await self._log.mark(connection, self.name, rows)
            interactions = [one for row in rows if row.intake_id in fresh for one in row.interactions]
            await self._signals.add(connection, self._actions(interactions))
        return fresh

    async def probe(self, interactions: Sequence[Interaction]) -> None:
        await self._signals.probe(self._actions(interactions))

    def _actions(self, interactions: Sequence[Interaction]) -> list[Action]:
        return actions_of(one for one in interactions if one.event_type in self._types)
