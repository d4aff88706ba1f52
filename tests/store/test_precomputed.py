"""Answers made ahead: the newest of each account, for 24 hours."""

import pytest

from domain.recommendations import Answer, Reason, Recommended
from store.postgres import Pool
from store.precomputed import PrecomputedStore


@pytest.fixture
def store(pool: Pool) -> PrecomputedStore:
    return PrecomputedStore(pool)


def _answer(*items: str, version: str = "m1", last_action_at_us: int | None = 5_000_000) -> Answer:
    made = [Recommended(item, 0.5, "popular", Reason("viewed", "because you viewed lid", "lid")) for item in items]
    return Answer("ranked", made, version, None, last_action_at_us)


async def test_the_newest_answer_of_each_account(store: PrecomputedStore) -> None:
    await store.write({"anna": _answer("cup"), "ben": _answer("pot", last_action_at_us=None)})
    await store.write({"anna": _answer("pan", "lid", version="m2")})
    anna, ben = await store.read("anna"), await store.read("ben")
    assert anna is not None
    assert ben is not None
    assert (anna.rung, anna.items, anna.model_version) == ("precomputed", _answer("pan", "lid").items, "m2")
    assert anna.computed_at_us is not None
    assert (anna.last_action_at_us, ben.last_action_at_us) == (5_000_000, None)
    assert await store.read("carl") is None


async def test_what_is_older_than_a_day_is_not_read_and_is_dropped(store: PrecomputedStore, pool: Pool) -> None:
    await store.write({"anna": _answer("cup"), "ben": _answer("pot")})
    await pool.execute(
        "UPDATE precomputed_recommendation SET expires_at = now() - interval '1s' WHERE account_id = $1", "anna"
    )
    assert await store.read("anna") is None
    assert await store.read("ben") is not None
    await store.forget()
    assert await pool.fetchval("SELECT array_agg(account_id) FROM precomputed_recommendation") == ["ben"]
