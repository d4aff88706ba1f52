"""Real servers, started once a session; an own database and an own task queue for whoever needs them."""

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.week import week_of
from intake.ledger import LedgerPartitions
from migrations.cql_runner import migrate_cql
from migrations.runner import migrate_postgres
from runtime.connections import register_search_attributes
from runtime.kafka.server import KafkaServer
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from runtime.temporal_binary import find_temporal
from runtime.temporal_server import TemporalServer
from store.blocks.postgres import PostgresBlockStore
from store.cql import CqlCluster, CqlSession, open_session
from store.postgres import Pool, create_pool
from store.redis import open_redis
from store.signals_postgres import PostgresSignalStore
from tests.cql import cql_server, in_keyspace
from tests.factories import now_us
from tests.kafka_server import kafka_server
from tests.redis_server import redis_server
from tests.s3_server import S3Server, s3_server
from tests.stack import Stack

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

T = TypeVar("T")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A folder that the embedded PostgreSQL's user can reach."""
    with tempfile.TemporaryDirectory(prefix="footfall-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_server(servers_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(servers_dir / "postgres", servers_dir / "logs")
    server.start()
    yield server
    server.stop()


@dataclass(frozen=True)
class Temporal:
    address: str
    ui_url: str


@pytest.fixture(scope="session")
def temporal(servers_dir: Path) -> Iterator[Temporal]:
    ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    server = TemporalServer(find_temporal(), servers_dir, servers_dir / "logs", port=ports[0], ui_port=ports[1])
    server.start()
    yield Temporal(server.address, server.ui_url)
    server.stop()


@pytest.fixture(scope="session")
async def temporal_client(temporal: Temporal) -> Client:
    client = await Client.connect(temporal.address)
    await register_search_attributes(client)
    return client


async def new_namespace(address: str) -> str:
    """The name of a Temporal namespace that is ready to be used, for a stack whose worker is not to meet others."""
    client = await Client.connect(address)
    name = f"test-{os.getpid()}-{next(_numbers)}"
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=Duration(seconds=86_400))
    )
    of_it = await Client.connect(address, namespace=name)

    async def known() -> None:
        try:
            await of_it.count_workflows()
        except RPCError as error:
            raise AssertionError from error

    await eventually(known)
    return name


@asynccontextmanager
async def new_database(server_url: str) -> AsyncIterator[str]:
    """A fresh database without a table; its URL."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}")
    try:
        yield server_url.replace("/postgres?", f"/{name}?")
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


@pytest.fixture
async def empty_database(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    async with new_database(postgres_server.url) as url:
        yield url


@pytest.fixture
async def database_url(empty_database: str) -> str:
    """A fresh database with all tables and partitions."""
    await migrate_postgres(empty_database)
    async with create_pool(empty_database, name="fixture", size=1, timeout_s=30) as pool:
        await LedgerPartitions(pool, 7).make()
        await PostgresBlockStore(pool).maintain(week_of(now_us()))
        await PostgresSignalStore(pool).maintain()
    return empty_database


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with create_pool(database_url, name="test", size=8, timeout_s=30) as pool:
        yield pool


@pytest.fixture(scope="session")
def cql(servers_dir: Path) -> Iterator[CqlCluster]:
    """A running cluster, of one node; its keyspace is for each test to choose."""
    with cql_server(servers_dir) as cluster:
        yield cluster


@pytest.fixture(scope="session")
async def cql_cluster(cql: CqlCluster, postgres_server: EmbeddedPostgres) -> CqlCluster:
    """A keyspace with all tables, for the whole session; tests keep to accounts of their own."""
    cluster = in_keyspace(cql, f"test_{os.getpid()}")
    await migrate_cql(cluster, postgres_server.url)
    return cluster


@pytest.fixture(scope="session")
async def cql_session(cql_cluster: CqlCluster) -> AsyncIterator[CqlSession]:
    async with open_session(cql_cluster) as session:
        yield session


@pytest.fixture(scope="session")
def redis_url(servers_dir: Path) -> Iterator[str]:
    """A running Redis; tests keep to accounts of their own."""
    with redis_server(servers_dir) as server:
        yield server.url


@pytest.fixture(scope="session")
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    async with open_redis(redis_url, name="test", timeout_s=30) as client:
        yield client


@pytest.fixture(scope="session")
def kafka(servers_dir: Path) -> Iterator[KafkaServer]:
    """A running broker; tests have topics and groups of their own."""
    with kafka_server(servers_dir) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A running server that speaks S3; tests have buckets of their own."""
    with s3_server() as server:
        yield server


async def eventually(check: Callable[[], Awaitable[T]], *, within_s: float = 30.0) -> T:
    """What `check` returns once it does not raise AssertionError; the last one is raised when time is over."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            return await check()
        except AssertionError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
async def stack(postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path) -> AsyncIterator[Stack]:
    """One running Footfall for the whole session; tests keep to accounts and products of their own."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        quick_sweeper = {"FOOTFALL_SWEEP_AFTER_S": "2", "FOOTFALL_SWEEP_INTERVAL_S": "0.5"}
        running = Stack(url, temporal.address, servers_dir / "logs", quick_sweeper)
        running.start()
        yield running
        running.stop()


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        yield client
