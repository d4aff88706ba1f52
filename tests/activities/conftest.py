"""A shop on either block store."""

import pytest

from store.blocks.cql import CqlBlockStore
from store.cql import CqlSession
from store.postgres import Pool
from tests.activities.rebuilding import Shop


@pytest.fixture(params=["postgres", "cql"])
async def any_shop(request: pytest.FixtureRequest, pool: Pool, cql_session: CqlSession) -> Shop:
    """Blocks in an empty store of each kind."""
    if request.param == "postgres":
        return Shop.on_postgres(pool)
    for table in ("blocks", "metadata"):
        await cql_session.execute(f"TRUNCATE {{keyspace}}.{table}", profile="write")
    return Shop(pool, await CqlBlockStore.prepared(cql_session))
