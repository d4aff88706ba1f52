"""Footfall itself, by `footfall up`, with blocks in PostgreSQL or in Cassandra."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.events import footfall_body
from bench.peers.system import Running
from bench.stack import footfall_up
from runtime.cassandra.server import CassandraServer
from runtime.instance import Instance

POSTGRES = "Footfall"
TWO_PROCESSES = "Footfall, 2 API processes"
CASSANDRA = "Footfall, blocks in Cassandra"


@contextmanager
def footfall(folder: Path) -> Iterator[Running]:
    with _up(folder, POSTGRES, {"FOOTFALL_API_PROCESSES": "1"}) as system:
        yield system


@contextmanager
def footfall_2(folder: Path) -> Iterator[Running]:
    with _up(folder, TWO_PROCESSES, {"FOOTFALL_API_PROCESSES": "2"}) as system:
        yield system


@contextmanager
def footfall_cassandra(folder: Path) -> Iterator[Running]:
    """The node acknowledges before it syncs, as ScyllaDB and Cassandra do by default."""
    server = CassandraServer(folder / "cassandra", folder / "logs", durable=False)
    server.start()
    try:
        with _up(folder, CASSANDRA, server.environment) as system:
            yield system
    finally:
        server.stop()


@contextmanager
def _up(folder: Path, name: str, settings: Mapping[str, str]) -> Iterator[Running]:
    with footfall_up(folder / "data", settings) as (instance, _):
        yield running(instance, name)


def running(instance: Instance, name: str = POSTGRES) -> Running:
    """A `footfall up` as a system under measurement."""
    port = int(instance.api_url.rsplit(":", 1)[1])
    pids = {part: pid for part, pid in instance.pids.items() if part.startswith(("api", "worker"))}
    return Running(
        name, port, "/interaction", footfall_body, instance.postgres_url, "product_popularity", "/popularity/",
        "SELECT EXISTS (SELECT FROM intake_log)", pids,
    )  # fmt: skip
