"""Footfall itself, by `footfall up`, with blocks in PostgreSQL or in Cassandra."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.events import footfall_body
from bench.peers.system import Running
from bench.stack import footfall_up
from runtime.cassandra.server import CassandraServer

POSTGRES = "Footfall"
CASSANDRA = "Footfall, blocks in Cassandra"


@contextmanager
def footfall(folder: Path) -> Iterator[Running]:
    with _up(folder, POSTGRES, {}) as running:
        yield running


@contextmanager
def footfall_cassandra(folder: Path) -> Iterator[Running]:
    """The node acknowledges before it syncs, as ScyllaDB and Cassandra do by default."""
    server = CassandraServer(folder / "cassandra", folder / "logs", durable=False)
    server.start()
    try:
        with _up(folder, CASSANDRA, server.environment) as running:
            yield running
    finally:
        server.stop()


@contextmanager
def _up(folder: Path, name: str, settings: dict[str, str]) -> Iterator[Running]:
    with footfall_up(folder / "data", settings) as (instance, _):
        port = int(instance.api_url.rsplit(":", 1)[1])
        yield Running(name, port, "/interaction", footfall_body, instance.postgres_url, "product_popularity")
