"""Has erasures carried out that were asked for: each has a workflow, whatever went wrong at its start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from domain.errors import FootfallError
from store.erasure import Erasure, ErasureStore

_log = logging.getLogger(__name__)

_AFTER = timedelta(seconds=10)
_MOST_AT_ONCE = 500

StartErasure = Callable[[UUID], Awaitable[None]]
"""Starts the workflow of an erasure, if none runs; raises TransientError when Temporal can't."""


class Erasures:
    """Raises TransientError or PermanentError."""

    def __init__(self, store: ErasureStore, start: StartErasure) -> None:
        self._store = store
        self._start = start

    async def ask(self, account_id: str, *, subtract: bool) -> Erasure:
        """Once this returns, it will be done. Raises ConflictError, as ErasureStore does."""
        asked = await self._store.ask(account_id, subtract=subtract)
        try:
            await self._start(asked.erasure_id)
        except FootfallError as error:
            _log.warning("erasure %s will be started by a worker: %s", asked.erasure_id, error)
        return asked

    async def find(self, erasure_id: UUID) -> Erasure | None:
        return await self._store.find(erasure_id)


async def keep_starting(store: ErasureStore, start: StartErasure, every_s: float) -> None:
    """Until cancelled, starts what should be under way and is not: Temporal was down when it was asked for, or has
    lost it since, or its workflow has failed. Those that run stay as they are.
    """
    while True:
        try:
            for erasure_id in await store.under_way(_AFTER, _MOST_AT_ONCE):
                await start(erasure_id)
        except FootfallError as error:
            _log.warning("erasures could not be started, the next try is in %.0f s: %s", every_s, error)
        await asyncio.sleep(every_s)
