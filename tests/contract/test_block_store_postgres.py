"""The block store on PostgreSQL keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from domain.week import week_of
from store.blocks.postgres import PostgresBlockStore
from store.postgres import Pool
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
from tests.slow_link import distant_postgres

_WEEK_US = 7 * 86_400_000_000


class TestPostgresBlockStore(BlockStoreContract):
    @pytest.fixture
    def store(self, pool: Pool) -> PostgresBlockStore:
        return PostgresBlockStore(pool)

    @pytest.fixture
    async def distant(self, database_url: str) -> AsyncIterator[Distant]:
        async with distant_postgres(database_url, DISTANT_TIMEOUT_S) as (pool, link):
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
