"""What the tests of several Footfalls behind a proxy share."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, new_database, new_namespace
from tests.haproxy import haproxy
from tests.scale.rolling import LEAVE_S, Pair
from tests.stack import Stack


@pytest.fixture
async def pair(postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path) -> AsyncIterator[Pair]:
    """Two times an API and a worker, and the URL of the proxy before them."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        settings = {
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
            "FOOTFALL_LEAVE_S": str(LEAVE_S),
            "FOOTFALL_TRUSTED_PROXIES": "127.0.0.1/32",
        }
        logs = [servers_dir / f"logs-{uuid4().hex[:8]}" for _ in range(2)]
        for one in logs:
            one.mkdir()
        stacks = [Stack(url, temporal.address, one, settings) for one in logs]
        try:
            for stack in stacks:
                stack.start()
            with haproxy([stack.port for stack in stacks], servers_dir) as front:
                yield Pair(stacks, front)
        finally:
            for stack in stacks:
                stack.stop()
