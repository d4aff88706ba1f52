"""The signal store on Redis keeps the contract."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from domain.actions import Action
from domain.errors import InvalidInputError, PermanentError, TransientError
from store.postgres import Pool
from store.redis import open_redis
from store.signals import LASTING, RECENT, pack
from store.signals_redis import RedisSignalStore
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
from tests.redis_server import RedisServer
from tests.slow_link import slow_link

_DAY_S = 86_400


class TestRedisSignalStore(SignalStoreContract):
    @pytest.fixture
    def store(self, redis_client: Redis) -> RedisSignalStore:
        return RedisSignalStore(redis_client)

    @pytest.fixture
    async def distant(self, redis_url: str) -> AsyncIterator[Distant]:
        port = int(redis_url.rpartition(":")[2].partition("/")[0])
        async with slow_link(lambda: asyncio.open_connection("127.0.0.1", port)) as link:
            url = f"redis://127.0.0.1:{link.port}/0"
            async with open_redis(url, name="distant", timeout_s=DISTANT_TIMEOUT_S) as client:
                yield Distant(RedisSignalStore(client), link)

    @model_test
    @any_course
    async def test_it_behaves_like_a_list(self, store: RedisSignalStore, pool: Pool, course: Course) -> None:
        await check_course(store, pool, course)

    async def test_what_comes_again_is_kept_once(
        self, store: RedisSignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        """Alone, beside others, after others."""
        actions = [did("purchase", str(days), days_ago(days)) for days in range(3)]
        for some in (actions, actions[1:], actions[:1], actions):
            await add(store, pool, *some)
            assert await store.recent(account) == actions
        assert (await store.hidden(account)).bought == {"0", "1", "2"}

    async def test_what_came_packed_otherwise_counts_once(
        self, store: RedisSignalStore, redis_client: Redis, pool: Pool, account: str, did: AddAction
    ) -> None:
        """As by a version that knew another field, while it is replaced by this one."""
        one = did()
        await add(store, pool, one)
        (packed,) = msgspec.msgpack.decode(pack([one]))
        other = msgspec.msgpack.encode([[*packed, "of a later version"]])
        await redis_client.zadd(f"footfall:recent:{account}", {other: one.occurred_at})
        assert await store.recent(account) == [one]

    async def test_no_more_is_kept_than_is_read(
        self, store: RedisSignalStore, redis_client: Redis, pool: Pool, account: str, did: AddAction
    ) -> None:
        for first, at in product((0, 600), range(0, 600, 100)):
            await add(store, pool, *(did("purchase", at=days_ago((first + at + n) / 100)) for n in range(100)))
        assert await redis_client.zcard(f"footfall:recent:{account}") == RECENT.most
        assert await redis_client.zcard(f"footfall:lasting:{account}") == LASTING.most

    async def test_keys_expire_and_old_members_go(
        self, store: RedisSignalStore, redis_client: Redis, pool: Pool, account: str, did: AddAction
    ) -> None:
        recent, lasting = f"footfall:recent:{account}", f"footfall:lasting:{account}"
        old = pack([did("purchase")])
        await redis_client.zadd(recent, {old: days_ago(29)})
        await redis_client.zadd(lasting, {old: days_ago(170)})
        await add(store, pool, did("purchase"))
        for key, days in ((recent, 28), (lasting, 24 * 7)):
            assert await redis_client.zcard(key) == 1
            assert (days - 1) * _DAY_S < await redis_client.ttl(key) <= days * _DAY_S

    async def test_a_server_that_forgot_the_script_learns_it_again(
        self, store: RedisSignalStore, redis_client: Redis, pool: Pool, account: str, did: AddAction
    ) -> None:
        await redis_client.script_flush()
        await add(store, pool, one := did())
        assert await store.recent(account) == [one]

    async def test_bytes_that_are_not_ours_are_a_permanent_fault(
        self, store: RedisSignalStore, redis_client: Redis, account: str
    ) -> None:
        await redis_client.zadd(f"footfall:recent:{account}", {b"\x91\x93": days_ago(0)})
        with pytest.raises(PermanentError, match="can't be read"):
            await store.recent(account)

    async def test_a_key_of_another_kind_is_a_permanent_fault(
        self, store: RedisSignalStore, redis_client: Redis, pool: Pool, account: str, did: AddAction
    ) -> None:
        await redis_client.set(f"footfall:recent:{account}", "what somebody else keeps here")
        with pytest.raises(PermanentError, match="WRONGTYPE"):
            await add(store, pool, did())


@pytest.mark.usefixtures("redis_url")  # where there is no Redis, it is skipped or fails as the others
async def test_a_full_redis_is_transient_and_one_that_refuses_us_is_not(tmp_path: Path, pool: Pool) -> None:
    server = RedisServer(tmp_path, ("--maxmemory", "500kb"))
    server.start()
    try:
        async with open_redis(server.url, name="test", timeout_s=5) as client:
            with pytest.raises(TransientError, match="OutOfMemory"):
                await add(RedisSignalStore(client), pool, _action())
            await client.config_set("maxmemory", "0")
            await add(RedisSignalStore(client), pool, _action())
            await client.config_set("requirepass", "secret")
        async with open_redis(server.url, name="test", timeout_s=5) as client:
            with pytest.raises(PermanentError, match="authenticated"):
                await RedisSignalStore(client).recent("alice")
        async with open_redis(server.url, name="test", timeout_s=5) as client:
            server.stop()
            with pytest.raises(TransientError):
                await RedisSignalStore(client).recent("alice")
    finally:
        server.stop()


async def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="FOOTFALL_REDIS_URL"):
        async with open_redis("http://localhost", name="test", timeout_s=1):
            pass


def _action() -> Action:
    return Action(str(uuid4()), "cup", "view", days_ago(0), uuid4().bytes)
