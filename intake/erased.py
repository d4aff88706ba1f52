"""Which accounts were erased, known in the process: what occurred before that and comes now must not bring it back.

An app that was offline sends its queue, another one tries again what it had no answer to. Such interactions are taken
for known and not recorded. What occurs after the erasure is of whoever has the account then.
"""

import asyncio
from collections.abc import Sequence

from intake.log import NewInteraction
from store.erasure import ErasureStore, account_key
from store.postgres import Pool

FRESH_S = 1.0
STALE_S = 2.0
"""Nobody is let in by what was known longer ago than this."""


class ErasedAccounts:
    """Read again behind the requests while these come, before one that comes after a pause.

    Raises:
        TransientError: it can't be read, so nobody can say who may come in.

    """

    def __init__(self, pool: Pool) -> None:
        self._store = ErasureStore(pool)
        self._key = b""
        self._before_us: dict[bytes, int] = {}
        self._newest_us = 0
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def late(self, events: Sequence[NewInteraction]) -> set[bytes]:
        """The ids of those that occurred before their account was erased."""
        age_s = asyncio.get_running_loop().time() - self._read_at
        if age_s > FRESH_S:
            await self._keep_fresh(wait=age_s > STALE_S)
        newest_us = self._newest_us
        if not newest_us:
            return set()
        return {
            one.interaction.event_id
            for one in events
            if one.interaction.occurred_at < newest_us and self._is_late(one)
        }

    def _is_late(self, one: NewInteraction) -> bool:
        before_us = self._before_us.get(account_key(self._key, one.interaction.account_id), 0)
        return one.interaction.occurred_at < before_us

    async def _keep_fresh(self, *, wait: bool) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="read erased accounts")
            self._reading.add_done_callback(self._was_read)
        if wait:
            await asyncio.shield(self._reading)

    def _was_read(self, reading: "asyncio.Task[None]") -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # told to who waits; else the next one reads again

    async def _read(self) -> None:
        began = asyncio.get_running_loop().time()
        self._key, self._before_us = await self._store.known()
        self._newest_us = max(self._before_us.values(), default=0)
        self._read_at = began
