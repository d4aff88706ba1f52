"""Connections to PostgreSQL, and the one place where its errors become ours."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import asyncpg
from asyncpg.pgproto import pgproto
from asyncpg.pool import PoolConnectionProxy

from domain.errors import PermanentError, TransientError

_log = logging.getLogger(__name__)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

DriverUUID: TypeAlias = pgproto.UUID
"""From bytes to the wire at a tenth of what uuid.UUID costs."""

# Classes of SQLSTATE (PostgreSQL's appendix A) where the same statement may succeed later: connection,
# transaction rollback (deadlock, serialization), resources, operator intervention, system error.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
_LOCK_NOT_AVAILABLE = "55P03"

CONNECT_TIMEOUT_S = 10
_CLOSE_TIMEOUT_S = 1.0


async def _leave_as_is(_connection: object) -> None:
    """Nothing of ours leaves session state behind, so a connection needs no reset, which is a round trip."""


@asynccontextmanager
async def create_pool(url: str, *, name: str, size: int, timeout_s: float) -> AsyncIterator[Pool]:
    """A pool whose statements end after `timeout_s` on either side of the wire; it connects when it is used."""
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=timeout_s,
        reset=_leave_as_is,
        server_settings={
            "application_name": name,
            "statement_timeout": str(int(timeout_s * 1000)),
            "timezone": "UTC",
            # Every statement here is prepared and run thousands of times. With arrays for parameters PostgreSQL would
            # plan each run anew, which costs more than to run it: docs/performance/log.md.
            "plan_cache_mode": "force_generic_plan",
        },
    )
    assert pool is not None  # noqa: S101  (its type allows for a pool created without a loop)
    try:
        yield pool
    finally:
        await _close(pool)


async def _close(pool: Pool) -> None:
    """The driver waits for ever for connections that are in use, and for a server that does not answer."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await pool.close()
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _log.warning("connections to PostgreSQL were cut off, not closed: %s", type(error).__name__)


def driver_ids(ids: Iterable[bytes]) -> list[DriverUUID]:
    """Ids of 16 bytes as statements take them."""
    return [DriverUUID(one) for one in ids]


@contextmanager
def translated_errors() -> Iterator[None]:
    """Inside, the driver's errors come out as TransientError or PermanentError, with their cause kept."""
    try:
        yield
    except asyncpg.PostgresError as error:
        state = error.sqlstate or ""
        if state.startswith(_TRANSIENT_CLASSES) or state == _LOCK_NOT_AVAILABLE:
            raise TransientError(f"PostgreSQL: {error}") from error
        raise PermanentError(f"PostgreSQL: {error} (SQLSTATE {state})") from error
    except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise TransientError(f"PostgreSQL: {type(error).__name__}: {error}") from error


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside a transaction, committed at the end; errors translated."""
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            yield connection


@asynccontextmanager
async def undone_transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction that is rolled back at the end, to see whether something could be done; errors translated."""
    with translated_errors():
        async with pool.acquire() as connection:
            attempt = connection.transaction()
            await attempt.start()
            try:
                yield connection
            finally:
                await attempt.rollback()


def waiting_for_connection(pool: Pool) -> int:
    """How many wait for a connection now. The driver tells how many are busy, and this only to itself."""
    queue = pool._queue  # type: ignore[attr-defined]  # noqa: SLF001
    return len(queue._getters)  # noqa: SLF001
