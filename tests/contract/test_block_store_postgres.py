"""The block store on PostgreSQL keeps the contract."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.week import week_of
from store.blocks.postgres import PostgresBlockStore
from store.postgres import Pool, create_pool
from tests.contract.block_store import (
    DISTANT_TIMEOUT_S,
    BlockStoreContract,
    Distant,
    Step,
    any_course,
    block,
    check_course,
    model_test,
    week_ago,
)
from tests.factories import interaction, now_us
from tests.slow_link import slow_link

_WEEK_US = 7 * 86_400_000_000


class TestPostgresBlockStore(BlockStoreContract):
    @pytest.fixture
    def store(self, pool: Pool) -> PostgresBlockStore:
        return PostgresBlockStore(pool)

    @pytest.fixture
    async def distant(self, database_url: str) -> AsyncIterator[Distant]:
        server = urlsplit(database_url)
        query = parse_qs(server.query)
        socket = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        async with slow_link(lambda: asyncio.open_unix_connection(socket)) as link:
            url = f"postgresql://postgres@127.0.0.1:{link.port}{server.path}?sslmode=disable"
            async with create_pool(url, name="distant", size=4, timeout_s=DISTANT_TIMEOUT_S) as pool:
                yield Distant(PostgresBlockStore(pool), link)

    @model_test
    @any_course
    async def test_it_behaves_like_a_dict(self, store: PostgresBlockStore, steps: list[Step]) -> None:
        await check_course(store, steps)

    async def test_what_is_out_of_keep_goes_and_what_is_in_stays(self, store: PostgresBlockStore) -> None:
        this_week = week_of(now_us())
        old, young = interaction(occurred_at=week_ago(0)), interaction(occurred_at=week_ago(0) + 30 * _WEEK_US)
        await store.maintain(this_week + 30)
        await store.write([block([young])])
        await store.write([block([old])])
        await store.maintain(this_week + 24)
        assert len(await store.read("alice", this_week, this_week + 30)) == 2
        await store.maintain(this_week + 24 + 16)
        assert [one.week for one in await store.read("alice", this_week, this_week + 30)] == [this_week + 30]
