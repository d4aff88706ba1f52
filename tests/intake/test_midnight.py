"""An event without a time of its own, sent again across midnight, is one event.

PostgreSQL's clock decides, so a test gives it another one: a function now() in a schema that is searched first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from domain.ids import new_id
from intake.log import IntakeLog
from store.postgres import Pool, create_pool, transaction
from tests.factories import undated

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

At = Callable[[datetime], Awaitable[None]]


@pytest.fixture
async def clock(database_url: str) -> AsyncIterator[tuple[IntakeLog, Pool]]:
    """A log whose PostgreSQL has the time that the setting test.now says."""
    database = database_url.split("/")[3].partition("?")[0]
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE SCHEMA clock; CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql "
        "AS $$ SELECT current_setting('test.now')::timestamptz $$; "
        f"ALTER DATABASE {database} SET search_path = clock, pg_catalog, public"
    )
    await connection.close()
    async with create_pool(database_url, name="test", size=4, timeout_s=30) as pool:
        yield IntakeLog(pool), pool


@asynccontextmanager
async def at(pool: Pool, moment: datetime) -> AsyncIterator[IntakeLog]:
    """The log inside a transaction that began at `moment` and commits at the end of the block."""

    class _OneConnection:
        def __init__(self, connection: object) -> None:
            self.fetchval = connection.fetchval  # type: ignore[attr-defined]

    async with transaction(pool) as connection:
        await connection.execute("SELECT set_config('test.now', $1, true)", moment.isoformat())
        yield IntakeLog(_OneConnection(connection))  # type: ignore[arg-type]


@pytest.mark.parametrize("again", [timedelta(seconds=1), timedelta(minutes=10), timedelta(hours=23)])
async def test_sent_again_after_midnight(clock: tuple[IntakeLog, Pool], again: timedelta) -> None:
    _, pool = clock
    event = undated(uuid4())
    async with at(pool, MIDNIGHT - timedelta(seconds=1)) as log:
        assert await log.append(new_id(), [event]) == set()
    async with at(pool, MIDNIGHT + again) as log:
        assert await log.append(new_id(), [event]) == {event.interaction.event_id}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (timedelta(seconds=-1), timedelta(seconds=1)),
        (timedelta(seconds=1), timedelta(seconds=-1)),
        (timedelta(minutes=4, seconds=59), timedelta(minutes=5, seconds=1)),
        (timedelta(minutes=5, seconds=1), timedelta(minutes=4, seconds=59)),
    ],
)
async def test_two_statements_at_once_around_midnight(
    clock: tuple[IntakeLog, Pool], first: timedelta, second: timedelta
) -> None:
    """Neither sees the other's row; the second waits for it, and then finds a duplicate."""
    _, pool = clock
    event = undated(uuid4())

    async def append_second() -> set[bytes]:
        async with at(pool, MIDNIGHT + second) as log:
            return await log.append(new_id(), [event])

    async with at(pool, MIDNIGHT + first) as log:
        assert await log.append(new_id(), [event]) == set()
        waiting = asyncio.create_task(append_second())
        await _until_blocked(pool)
    assert await waiting == {event.interaction.event_id}


async def _until_blocked(pool: Pool) -> None:
    for _ in range(1_000):
        if await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the second statement does not wait for the first")
