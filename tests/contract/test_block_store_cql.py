"""The block store on CQL keeps the contract."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from domain.week import WEEKS_KEPT, week_of
from store.blocks.cql import CqlBlockStore
from store.cql import CqlCluster, CqlSession, open_session
from tests.contract.block_store import (
    DISTANT_TIMEOUT_S,
    BlockStoreContract,
    Distant,
    Step,
    any_course,
    block,
    check_course,
    fold,
    model_test,
    week_ago,
)
from tests.factories import interaction, now_us
from tests.slow_link import slow_link

_WEEK_S = 7 * 86_400


class TestCqlBlockStore(BlockStoreContract):
    @pytest.fixture
    async def store(self, cql_session: CqlSession) -> CqlBlockStore:
        return await CqlBlockStore.prepared(cql_session)

    @pytest.fixture
    async def distant(self, cql_cluster: CqlCluster) -> AsyncIterator[Distant]:
        host = cql_cluster.contact_points[0]
        async with slow_link(lambda: asyncio.open_connection(host, cql_cluster.port)) as link:
            there = replace(cql_cluster, port=link.port, timeout_s=DISTANT_TIMEOUT_S, speculative_after_s=0)
            async with open_session(there) as session:
                yield Distant(await CqlBlockStore.prepared(session), link)

    @model_test
    @any_course
    async def test_it_behaves_like_a_dict(self, store: CqlBlockStore, steps: list[Step]) -> None:
        await check_course(store, steps)

    @pytest.mark.parametrize("weeks", [0, 7, 8, 15, 23])
    async def test_rows_end_when_their_week_is_out_of_keep(
        self, store: CqlBlockStore, cql_session: CqlSession, account: str, weeks: int
    ) -> None:
        """Late ones too, and what is sealed lives no longer than its deltas would have."""
        one = block([interaction(account_id=account, occurred_at=week_ago(weeks))])
        await store.write([one])
        for _ in range(2):
            ((ttl_s,),) = await cql_session.execute(
                "SELECT TTL(data) FROM {keyspace}.blocks WHERE account_id = %s", (account,), profile="read"
            )
            of_end = (one.week + WEEKS_KEPT + 2) * _WEEK_S - 3 * 86_400
            assert abs(now_us() / 1e6 + ttl_s - of_end) < 60
            await fold(store, account, one.week)

    async def test_a_block_out_of_keep_is_written_all_the_same(self, store: CqlBlockStore, account: str) -> None:
        one = block([interaction(account_id=account, occurred_at=week_ago(60))])
        await store.write([one])
        assert await store.read(account, one.week, one.week) == [one]

    async def test_ranges_cover_the_ring_without_gap(self, store: CqlBlockStore) -> None:
        ranges = store.ranges()
        assert len(ranges) > 16
        assert ranges[0].start == -(2**63)
        assert ranges[-1].end == 2**63 - 1
        assert [one.end for one in ranges[:-1]] == [one.start for one in ranges[1:]]

    async def test_weeks_stand_side_by_side_until_their_time_has_come(
        self, store: CqlBlockStore, account: str
    ) -> None:
        """One that is just out of keep is not in the way of the present one."""
        blocks = [block([interaction(account_id=account, occurred_at=week_ago(weeks))]) for weeks in (0, 24)]
        await store.write(blocks)
        week = week_of(now_us())
        assert await store.read(account, week, week) == blocks[:1]
        assert await store.read(account, week - 24, week) == blocks


async def test_an_account_is_read_in_one_page(cql_session: CqlSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of several pages is several reads, and a fold between them would move blocks from the one to come into
    the one that was.
    """
    store = await CqlBlockStore.prepared(cql_session)
    account = f"in one page {now_us()}"
    await store.write([block([interaction(account_id=account)]) for _ in range(30)])
    pages = []
    arrived = CqlSession._page_arrived

    def count(session: CqlSession, response: object, *rest: object) -> None:
        pages.append(response)
        arrived(session, response, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(CqlSession, "_page_arrived", count)
    monkeypatch.setattr(cql_session._session, "default_fetch_size", 7)
    week = week_of(now_us())
    for read in (store.read, store.read_exact):
        pages.clear()
        assert len(await read(account, week - 1, week)) == 30
        assert len(pages) == 1
