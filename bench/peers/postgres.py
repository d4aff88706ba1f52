"""A PostgreSQL for a peer, embedded and set as Footfall's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.system import execute
from runtime.postgres_server import EmbeddedPostgres


@contextmanager
def peer_postgres(folder: Path, schema: str | None = None) -> Iterator[str]:
    """Its URL; with these tables."""
    folder.mkdir(parents=True, exist_ok=True)
    server = EmbeddedPostgres(folder / "postgres", folder / "logs")
    server.start()
    try:
        if schema is not None:
            execute(server.url, schema)
        yield server.url
    finally:
        server.stop()
