"""The keys that tokens are signed with (JWKS, RFC 7517), from a URL or a file."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import msgspec
from jwt import PyJWK

from api.security.tokens import ALGORITHMS
from domain.errors import TransientError

_log = logging.getLogger(__name__)

Fetch = Callable[[], Awaitable[bytes]]

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MOST_BYTES = 1024 * 1024
_LEAST_RSA_BITS = 2_048
_AGAIN_AFTER_S = 5.0
"""Least time between two fetches for a key id that is not known, and after a failure."""


class Jwks:
    """Keys by their ids. Those known last stay while the others can't be fetched."""

    def __init__(self, fetch: Fetch, *, refresh_s: float) -> None:
        self._fetch = fetch
        self._refresh_s = refresh_s
        self._document: bytes | None = None
        self._keys: Mapping[str | None, PyJWK] = {}
        self._looking = asyncio.Lock()
        self._next_look = 0.0
        self.version = 0

    async def find(self, key_id: str | None) -> PyJWK | None:
        """The key of that id; where it is not known, after a look whether it has come.

        A token without an id is by the only key that there is.
        """
        found = self._known(key_id)
        if found is not None:
            return found
        async with self._looking:
            if self._known(key_id) is None and time.monotonic() >= self._next_look:
                await self._look()
        return self._known(key_id)

    def _known(self, key_id: str | None) -> PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def keep_fresh(self) -> None:
        """Until cancelled."""
        while True:
            async with self._looking:
                await self._look()
            await asyncio.sleep(self._refresh_s if self._keys else _AGAIN_AFTER_S)

    async def _look(self) -> None:
        self._next_look = time.monotonic() + _AGAIN_AFTER_S
        try:
            document = await self._fetch()
            keys = read_keys(document)
        except TransientError as error:
            _log.warning("the keys of tokens could not be read, those known go on: %s", error)
            return
        if document != self._document:
            self._document, self._keys = document, keys
            self.version += 1
            _log.info("%s keys for tokens", len(keys))


def read_keys(document: bytes) -> dict[str | None, PyJWK]:
    """Keys that sign tokens of ours; others in the set are left out, symmetric ones among them.

    Raises:
        TransientError: this is no set of keys, or has none of use.

    """
    try:
        entries = msgspec.json.decode(document, type=dict[str, Any])["keys"]
        keys = {one.get("kid"): key for one in entries if (key := _usable(one)) is not None}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise TransientError(f"not a JSON Web Key Set: {type(error).__name__}") from error
    if not keys:
        raise TransientError(f"no key in it is for {' or '.join(ALGORITHMS)}, RSA of {_LEAST_RSA_BITS} bits at least")
    return keys


def _usable(entry: Mapping[str, Any]) -> PyJWK | None:
    if entry.get("kty") not in ("RSA", "EC") or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(dict(entry))
    except jwt.PyJWTError:
        return None
    if key.algorithm_name not in ALGORITHMS or "d" in entry:
        return None
    return key if key.key_type != "RSA" or key.key.key_size >= _LEAST_RSA_BITS else None


def from_file(path: Path) -> Fetch:
    async def fetch() -> bytes:
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise TransientError(f"{path}: {error.strerror}") from error

    return fetch


def from_url(url: str) -> Fetch:
    """Follows no redirect: whoever answers another address could sign for everybody."""

    async def fetch() -> bytes:
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as http,
                http.get(url, allow_redirects=False, raise_for_status=True) as response,
            ):
                if response.status != HTTPStatus.OK:
                    raise TransientError(f"status {response.status}")
                document = bytearray()
                async for part in response.content.iter_any():
                    document += part
                    if len(document) > _MOST_BYTES:
                        raise TransientError(f"over {_MOST_BYTES} bytes")
                return bytes(document)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise TransientError(type(error).__name__) from error  # its text has the URL, which may have a password

    return fetch
