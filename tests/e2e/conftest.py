"""What an operator has beside the API: the database itself."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeAlias

import asyncpg
import pytest

from tests.stack import Stack

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(stack.database_url)
    yield connection
    await connection.close()


class Broken(Protocol):
    """Inside, popularity's table is not there."""

    def __call__(self) -> AbstractAsyncContextManager[None]: ...


@pytest.fixture
def broken(database: Database) -> Broken:
    @asynccontextmanager
    async def without_table() -> AsyncIterator[None]:
        await database.execute("ALTER TABLE product_popularity RENAME TO hidden")
        try:
            yield
        finally:
            await database.execute("ALTER TABLE hidden RENAME TO product_popularity")

    return without_table
