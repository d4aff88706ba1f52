"""A Footfall of its own, since everything in it is verified, with a PostgreSQL that may go down."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, new_namespace
from tests.stack import Stack


@dataclass(frozen=True)
class Shop:
    stack: Stack
    postgres: EmbeddedPostgres


@pytest.fixture(scope="package")
def own_postgres(servers_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(servers_dir / "postgres-kafka", servers_dir / "logs-kafka")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
async def shop(own_postgres: EmbeddedPostgres, temporal: Temporal, servers_dir: Path) -> AsyncIterator[Shop]:
    await migrate_postgres(own_postgres.url)
    quick = {"FOOTFALL_SWEEP_AFTER_S": "2", "FOOTFALL_SWEEP_INTERVAL_S": "0.5"}
    namespace = {"TEMPORAL_NAMESPACE": await new_namespace(temporal.address)}
    running = Stack(own_postgres.url, temporal.address, servers_dir / "logs-kafka", {**quick, **namespace})
    running.start()
    yield Shop(running, own_postgres)
    running.stop()
