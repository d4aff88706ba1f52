"""What an operator has beside the API, the database itself; and a shop whose tastes are known."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import asyncpg
import pytest

from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal
from tests.e2e.shop import Shop, trained_shop
from tests.stack import Stack

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture(scope="package")
async def shop(
    postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """Its model takes a while to train: all that ask for recommendations share it."""
    async with trained_shop(
        postgres_server, temporal, servers_dir / "logs", tmp_path_factory.mktemp("models")
    ) as made:
        yield made


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
