"""Signals in Redis: two sorted sets an account, by time. An action is a member, so to add it again changes nothing.

One Redis, with replicas or without: a script writes the keys of many accounts at once, which Redis Cluster has apart.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from importlib import resources
from itertools import islice
from typing import cast

from redis.asyncio import Redis

from domain.actions import Action, Hidden, hidden_of, newest_first
from store.postgres import Connection
from store.redis import translated_errors
from store.signals import LASTING, RECENT, Kind, now_us, pack, to_keep, unpack

_KEEP = (resources.files("store") / "signals_redis.lua").read_text(encoding="utf-8")
_PREFIXES = {RECENT: "footfall:recent:", LASTING: "footfall:lasting:"}
_ACCOUNTS_A_CALL = 200  # Redis does nothing else meanwhile


class RedisSignalStore:
    def __init__(self, client: Redis) -> None:
        self._client = client
        self._keep = client.register_script(_KEEP)

    async def add(self, connection: Connection, actions: Sequence[Action]) -> None:  # noqa: ARG002  (the protocol's)
        now = now_us()
        with translated_errors():
            for kind in _PREFIXES:
                for some in _parts(to_keep(kind, actions, now)):
                    await self._keep(*_arguments(kind, some, now))

    async def probe(self, actions: Sequence[Action]) -> None:
        """Without a write: what is added can't be taken back."""
        for kind in _PREFIXES:
            for some in _parts(to_keep(kind, actions, now_us())):
                _arguments(kind, some, now_us())

    async def recent(self, account_id: str, limit: int = RECENT.most) -> list[Action]:
        return await self._read(RECENT, account_id, limit)

    async def hidden(self, account_id: str) -> Hidden:
        return hidden_of(await self._read(LASTING, account_id, LASTING.most))

    async def both(self, account_id: str) -> tuple[list[Action], Hidden]:
        recent, hidden = await asyncio.gather(self.recent(account_id), self.hidden(account_id))
        return recent, hidden

    async def _read(self, kind: Kind, account_id: str, limit: int) -> list[Action]:
        """An event id counts once, should it have been packed by two versions of Footfall, which may differ."""
        key, since_us = _PREFIXES[kind] + account_id, kind.since_us(now_us())
        with translated_errors():
            members = await self._client.zrange(key, "+inf", since_us, desc=True, byscore=True, offset=0, num=limit)
        packed = cast("list[bytes]", members)
        by_id = {one.event_id: one for member in packed for one in unpack(account_id, member)}
        return newest_first(by_id.values())

    async def erase(self, account_id: str, before_us: int) -> int:
        removed = 0
        with translated_errors():
            for prefix in _PREFIXES.values():
                removed += await self._client.zremrangebyscore(prefix + account_id, "-inf", f"({before_us}")
        return removed

    async def maintain(self) -> None:
        """Keys expire by themselves."""

    async def ping(self) -> None:
        with translated_errors():
            await self._client.ping()


def _parts(by_account: Mapping[str, list[Action]]) -> Iterator[dict[str, list[Action]]]:
    entries = iter(by_account.items())
    while part := dict(islice(entries, _ACCOUNTS_A_CALL)):
        yield part


def _arguments(
    kind: Kind, by_account: Mapping[str, list[Action]], now: int
) -> tuple[list[str], list[str | bytes | int]]:
    """Keys and arguments of the script."""
    arguments: list[str | bytes | int] = [
        kind.most,
        kind.since_us(now),
        kind.kept_for // timedelta(seconds=1),
    ]
    for actions in by_account.values():
        arguments.append(len(actions))
        for one in actions:
            arguments += one.occurred_at, pack([one])
    return [_PREFIXES[kind] + account_id for account_id in by_account], arguments
