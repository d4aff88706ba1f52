"""Both Python clients behind one face, and what the server says of what they sent."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Protocol
from uuid import UUID, uuid4

import httpx

from footfall_client import AsyncClient, Client, Interaction, Query, Stats
from tests.conftest import eventually

SOURCES = Path(__file__).parents[2] / "clients/python/src"

Kind = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")


def environment(**more: str) -> dict[str, str]:
    """Of a program that imports the client."""
    return {**os.environ, "PYTHONPATH": str(SOURCES), **more}


class Driven(Protocol):
    """A client, called from the loop."""

    @property
    def stats(self) -> Stats: ...
    def record(self, interaction: Interaction) -> UUID: ...
    async def record_when_room(self, interaction: Interaction, timeout_s: float | None = None) -> UUID: ...
    async def flush(self, timeout_s: float | None = None) -> int: ...
    async def close(self, timeout_s: float | None = None) -> list[Interaction]: ...
    async def get(self, query: Query[Any]) -> Any: ...


class _OffLoop:
    """The client with a thread; what waits, waits elsewhere than on the loop."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def stats(self) -> Stats:
        return self._client.stats

    def record(self, interaction: Interaction) -> UUID:
        return self._client.record(interaction)

    async def record_when_room(self, interaction: Interaction, timeout_s: float | None = None) -> UUID:
        return await asyncio.to_thread(self._client.record_when_room, interaction, timeout_s)

    async def flush(self, timeout_s: float | None = None) -> int:
        return await asyncio.to_thread(self._client.flush, timeout_s)

    async def close(self, timeout_s: float | None = None) -> list[Interaction]:
        return await asyncio.to_thread(self._client.close, timeout_s)

    async def get(self, query: Query[Any]) -> Any:
        return await asyncio.to_thread(self._client.get, query)


@asynccontextmanager
async def driven(kind: Kind, url: str, *, all_sent: bool = True, **options: Any) -> AsyncIterator[Driven]:
    """Closed at the end, when nothing may be left unsent where `all_sent`."""
    client: Driven = _OffLoop(Client(url, **options)) if kind == "sync" else AsyncClient(url, **options)
    try:
        yield client
    finally:
        unsent = await client.close(30)
    assert unsent == [] or not all_sent


def some(count: int, product: str, *, accounts: int = 4) -> list[Interaction]:
    """Views of one product by some accounts, whose ids have the product's."""
    return [
        Interaction(account_id=f"{product}-{number % accounts}", event_type="view", ref_id=product)
        for number in range(count)
    ]


def new_product() -> str:
    return f"client-{uuid4().hex[:12]}"


async def recorded(http: httpx.AsyncClient, product: str, *, accounts: int = 4) -> list[str]:
    """The event ids of what `some` accounts did, as often as they are kept."""
    found = []
    for number in range(accounts):
        said = await http.get(f"/interactions/{product}-{number}", params={"limit": 2_000})
        found += [item["event_id"] for item in said.json()["items"]]
    return found


async def assert_recorded_once(http: httpx.AsyncClient, product: str, ids: list[UUID]) -> None:
    """Each kept once and counted once; nothing else is."""

    async def counted() -> None:
        said = (await http.get(f"/popularity/{product}")).json()
        assert said.get("view_count") == len(ids)
        assert sorted(await recorded(http, product)) == sorted(map(str, ids))

    await eventually(counted, within_s=60)
