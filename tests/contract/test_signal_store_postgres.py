"""The signal store on PostgreSQL keeps the contract."""

from collections.abc import AsyncIterator, Callable

import pytest

from domain.errors import PermanentError
from store.postgres import Pool, transaction
from store.signals_postgres import PostgresSignalStore
from tests.contract.signal_store import (
    DISTANT_TIMEOUT_S,
    AddAction,
    Course,
    Distant,
    SignalStoreContract,
    add,
    any_course,
    check_course,
    days_ago,
    model_test,
)
from tests.slow_link import distant_postgres


class TestPostgresSignalStore(SignalStoreContract):
    @pytest.fixture
    def store(self, pool: Pool) -> PostgresSignalStore:
        return PostgresSignalStore(pool)

    @pytest.fixture
    async def distant(self, database_url: str) -> AsyncIterator[Distant]:
        async with distant_postgres(database_url, DISTANT_TIMEOUT_S) as (pool, link):
            yield Distant(PostgresSignalStore(pool), link)

    @model_test
    @any_course
    async def test_it_behaves_like_a_list(self, store: PostgresSignalStore, pool: Pool, course: Course) -> None:
        await check_course(store, pool, course)

    async def test_what_is_not_committed_is_not_kept(
        self, store: PostgresSignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        class LostError(Exception):
            pass

        with pytest.raises(LostError):
            async with transaction(pool) as connection:
                await store.add(connection, [did("purchase")])
                raise LostError
        assert await store.recent(account) == []

    async def test_what_one_account_did_in_a_batch_is_one_row(
        self, store: PostgresSignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        await add(store, pool, *(did("purchase", at=days_ago(number)) for number in range(50)))
        assert await pool.fetchval("SELECT count(*) FROM recent_signal WHERE account_id = $1", account) == 1
        assert await pool.fetchval("SELECT count(*) FROM lasting_signal WHERE account_id = $1", account) == 1

    async def test_partitions_are_dropped_when_nobody_may_write_to_them(
        self, store: PostgresSignalStore, pool: Pool, did: AddAction, pass_days: Callable[[float], None]
    ) -> None:
        old, young = did("purchase", at=days_ago(20)), did("purchase", at=days_ago(1))
        await add(store, pool, old)
        await add(store, pool, young)

        async def kept() -> tuple[int, int]:
            recent, lasting = [
                await pool.fetchval(f"SELECT count(*) FROM {table}") for table in ("recent_signal", "lasting_signal")
            ]
            return recent, lasting

        for days, expected in [(8, (2, 2)), (8 + 9, (1, 2)), (37, (0, 2)), (24 * 7 - 20, (0, 2)), (33 * 7, (0, 0))]:
            pass_days(days)
            await store.maintain()
            assert await kept() == expected, days

    async def test_there_is_room_for_late_events_and_clocks_ahead(
        self, store: PostgresSignalStore, pool: Pool, account: str, did: AddAction, pass_days: Callable[[float], None]
    ) -> None:
        """Until housekeeping runs again, and by workers whose clocks are over a day apart."""
        oldest, ahead = did(at=days_ago(29)), did(at=days_ago(-6))
        pass_days(-1.5)
        await add(store, pool, oldest, ahead)
        assert await store.recent(account) == [ahead, oldest]

    async def test_bytes_that_are_not_ours_are_a_permanent_fault(
        self, store: PostgresSignalStore, pool: Pool, account: str
    ) -> None:
        statement = "INSERT INTO recent_signal (account_id, newest_at, actions) VALUES ($1, $2, $3)"
        await pool.execute(statement, account, days_ago(0), b"\x91\x93")
        with pytest.raises(PermanentError, match="can't be read"):
            await store.recent(account)
