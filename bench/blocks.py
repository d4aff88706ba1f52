"""Made-up accounts, and their blocks in a Cassandra."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from activities.persist import delta_blocks
from domain.interaction import Interaction
from domain.week import to_us, week_of, week_start_us
from intake.log import IntakeRow
from runtime.cassandra.server import HOST, LOCAL_DC, PASSWORD, USERNAME, CassandraServer
from store.blocks.cql import CqlBlockStore
from store.cql import CqlCluster, CqlSession, open_session

KEYSPACE = "footfall"
NOW_US = to_us(datetime.now(UTC))
WEEKS = 24
_ROWS_AT_ONCE = 2_000


class Fill:
    """Made-up accounts with interactions spread over 24 weeks, by prefix."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def account(self, account_id: str, events: int) -> list[Interaction]:
        """Interactions of one account; the newest is in the present week."""
        step = (NOW_US - week_start_us(week_of(NOW_US) - WEEKS + 1)) // events
        return [self.one(account_id, NOW_US - number * step) for number in range(events)]

    def one(self, account_id: str, at_us: int) -> Interaction:
        return Interaction(
            self._random.randbytes(16), account_id, "view", "Product", f"p{self._random.randrange(10_000)}", at_us,
            None, f"s-{self._random.getrandbits(40):010x}", "python-httpx/0.28.1", "127.0.0.1",
        )  # fmt: skip


@asynccontextmanager
async def block_store(server: CassandraServer) -> AsyncIterator[tuple[CqlSession, CqlBlockStore]]:
    cluster = CqlCluster([HOST], server.port, KEYSPACE, 1, LOCAL_DC, USERNAME, PASSWORD, timeout_s=30)
    async with open_session(cluster) as session:
        yield session, await CqlBlockStore.prepared(session)


async def persist(store: CqlBlockStore, rows: Sequence[IntakeRow]) -> None:
    """As the fan-out does: delta blocks of intake rows, some thousand a write."""
    chunk = []
    for row in rows:
        for block in delta_blocks(row):
            chunk.append(block)
            if len(chunk) >= _ROWS_AT_ONCE:
                await store.write(chunk)
                chunk = []
    await store.write(chunk)


def intake_rows(events: list[Interaction], size: int = 500) -> list[IntakeRow]:
    now = datetime.now(UTC)
    return [IntakeRow(uuid4(), now, events[at : at + size]) for at in range(0, len(events), size)]
