"""How long after its POST an interaction is seen in popularity."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from uuid import uuid4

import asyncpg

from bench.loadgen import get
from bench.peers.system import HOST, Running

Sees = Callable[[str], Awaitable[bool]]
"""Whether a product is in popularity."""

_LOOK_EVERY_S = 0.005
_LONGEST_PAUSE_S = 0.3
_PATIENCE_S = 60.0


class Prober:
    """Sends a view of a new product, then looks every 5 ms until popularity has it: over HTTP, else in the table."""

    def __init__(self, system: Running) -> None:
        self._system = system

    async def one_by_one(self, count: int) -> list[float]:
        """So many, each after the one before; microseconds.

        With pauses at random, or they fall in step with what works at intervals and wait less than others do.
        """
        found = []
        for _ in range(count):
            found.append(await self._one())
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))
        return found

    async def at_random(self, rate: float, seconds: float) -> list[float]:
        """Some `rate` a second, begun whether or not those before are seen: a stall is met by all that fall in it."""
        begun, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            begun.append(asyncio.create_task(self._one()))
            await asyncio.sleep(random.expovariate(rate))
        return await asyncio.gather(*begun)

    async def _one(self) -> float:
        product = f"probe-{uuid4()}"
        event = {"account_id": "prober", "event_type": "view", "ref_type": "Product", "ref_id": product}
        request = self._system.request([event])
        async with self._eye() as sees, _connection(self._system.port) as (reader, writer):
            started = time.perf_counter()
            writer.write(request)
            if (status := await _status(reader)) not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
                raise SystemExit(f"{self._system.name}: a probe was answered {status}")
            while not await sees(product):
                if time.perf_counter() - started > _PATIENCE_S:
                    raise SystemExit(f"{self._system.name}: a probe is not seen")
                await asyncio.sleep(_LOOK_EVERY_S)
            return (time.perf_counter() - started) * 1_000_000

    def _eye(self) -> AbstractAsyncContextManager[Sees]:
        if self._system.popularity is None:
            return _table_eye(self._system.database, self._system.table)
        return _http_eye(self._system.port, self._system.popularity)


@asynccontextmanager
async def _http_eye(port: int, path: str) -> AsyncIterator[Sees]:
    async with _connection(port) as (reader, writer):

        async def sees(product: str) -> bool:
            writer.write(get(HOST, path + product))
            return await _status(reader) == HTTPStatus.OK

        yield sees


@asynccontextmanager
async def _table_eye(database: str, table: str) -> AsyncIterator[Sees]:
    connection = await asyncpg.connect(database)
    try:
        statement = await connection.prepare(f"SELECT EXISTS (SELECT FROM {table} WHERE product_id = $1)")

        async def sees(product: str) -> bool:
            return bool(await statement.fetchval(product))

        yield sees
    finally:
        await connection.close()


@asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    await reader.readexactly(length)
    return int(head[9:12])
