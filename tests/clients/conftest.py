"""A Footfall that asks for a key and lets in the test's page, to be killed and started again at will."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, new_database, new_namespace
from tests.e2e.securing import client, made_key, until_known
from tests.stack import Stack


@dataclass(frozen=True)
class Target:
    """What the client speaks to."""

    stack: Stack
    key: str | None
    """May write and read; None where nobody is asked for one."""
    page_port: int
    """Of the origin whose pages may ask, on localhost."""


@pytest.fixture(scope="package")
async def closed(postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path) -> AsyncIterator[Target]:
    page_port = free_port("127.0.0.1", 0)
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        settings = {
            "FOOTFALL_CORS_ORIGINS": f"http://localhost:{page_port}",
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
            "FOOTFALL_SWEEP_AFTER_S": "2",
            "FOOTFALL_SWEEP_INTERVAL_S": "0.5",
        }
        stack = Stack(url, temporal.address, servers_dir / "logs", settings)
        key = (await made_key(stack, "ingest", "read"))["key"]
        stack.start()
        async with client(stack.url, key) as http:
            await until_known(http)
        yield Target(stack, key, page_port)
        stack.stop()


@pytest.fixture
async def asking(closed: Target) -> AsyncIterator[httpx.AsyncClient]:
    async with client(closed.stack.url, closed.key) as http:
        yield http
