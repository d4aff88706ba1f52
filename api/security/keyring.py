"""The API keys, known in the process: a request's key is a look into a dictionary."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime

from domain.access import Caller
from domain.errors import FootfallError
from store.keys import KeyRecord, KeyStore

_log = logging.getLogger(__name__)

REFRESH_S = 2.0


@dataclass(frozen=True, slots=True)
class KnownKey:
    key_id: str
    caller: Caller
    revoked: bool
    expires_at_s: float
    """Seconds since the Unix epoch."""

    @property
    def refused_as(self) -> str | None:
        """Why it is of no use any more; None where it is."""
        if self.revoked:
            return "revoked"
        return "expired" if time.time() >= self.expires_at_s else None


class Keyring:
    """All keys, read every other second: one that is made or revoked is known so soon.

    While PostgreSQL does not answer, those known last go on.
    """

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._keys: dict[bytes, KnownKey] = {}
        self._used: set[str] = set()
        self._was_read = asyncio.Event()

    @property
    def is_read(self) -> bool:
        """Whether the keys were read at all; until then nobody is known, and nothing is open."""
        return self._was_read.is_set()

    async def wait_until_read(self) -> None:
        await self._was_read.wait()

    @property
    def has_any(self) -> bool:
        """Whether a key was ever made, revoked ones included: to revoke the last one opens nothing."""
        return bool(self._keys)

    def find(self, digest: bytes) -> KnownKey | None:
        """By the SHA-256 of the key. Its time tells nothing: nobody can steer the digests of what they try."""
        known = self._keys.get(digest)
        if known is not None:
            self._used.add(known.key_id)
        return known

    async def refresh(self) -> None:
        self._keys = {one.digest: _known(one) for one in await self._store.all()}
        self._was_read.set()

    async def keep_fresh(self) -> None:
        """Until cancelled; also notes which keys were used."""
        while True:
            try:
                await self.refresh()
                if self._used:
                    used, self._used = self._used, set()
                    await self._store.used(used)
            except FootfallError as error:
                _log.warning("the API keys could not be read: %s", error)
            await asyncio.sleep(REFRESH_S)


def _known(one: KeyRecord) -> KnownKey:
    caller = Caller(f"key {one.key_id}", frozenset(one.scopes))
    return KnownKey(one.key_id, caller, one.revoked_at is not None, _seconds(one.expires_at))


def _seconds(moment: datetime | None) -> float:
    return float("inf") if moment is None else moment.timestamp()
