"""The ladder over a real PostgreSQL: what an answer stands on when the recommender, or PostgreSQL, is gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec import structs
from prometheus_client import REGISTRY

from domain.actions import Action
from domain.errors import TransientError
from domain.ids import new_id_bytes
from domain.recommendations import Answer, Ask, Recommended
from serving.ladder import Ladder
from serving.popular import Popular
from store.popular_items import PopularItems
from store.postgres import Pool, create_pool, transaction
from store.precomputed import PrecomputedStore
from store.signals_postgres import PostgresSignalStore
from tests.factories import now_us

_ITEMS = [("cup", 50, "kitchen"), ("pot", 40, "kitchen"), ("ball", 30, "toys"), ("kite", 20, "toys")]


class Recommender:
    """Answers as it is told; what stands behind it is a process of its own, tested in tests/e2e."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.asked = 0
        self.hangs = False

    async def recommend(self, _ask: Ask) -> Answer:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.answer is None:
            raise TransientError("gone")
        return self.answer


@pytest.fixture
def recommender() -> Recommender:
    return Recommender()


@pytest.fixture
async def reads(database_url: str) -> AsyncIterator[Pool]:
    """A pool of the ladder's own, so that a test can take it away."""
    async with create_pool(database_url, name="ladder", size=4, timeout_s=5) as pool:
        yield pool


@pytest.fixture
async def popular(reads: Pool, pool: Pool) -> Popular:
    await pool.executemany(
        "INSERT INTO product_popularity VALUES ($1, $2, 1, 0, 0, 0, 0, now())",
        [(one, score) for one, score, _ in _ITEMS],
    )
    await pool.executemany(
        "INSERT INTO item (item_id, title, category, tags, created_at, is_active, in_stock, changed_at)"
        " VALUES ($1, $1, $2, '{}', now(), true, true, now())",
        [(one, category) for one, _, category in _ITEMS],
    )
    return Popular(PopularItems(reads), kept_s=0)


@pytest.fixture
def ladder(recommender: Recommender, reads: Pool, popular: Popular) -> Ladder:
    return Ladder(recommender.recommend, PrecomputedStore(reads), PostgresSignalStore(reads), popular)


def _ids(answer: Answer) -> list[str]:
    return [one.item_id for one in answer.items]


def _made(*items: str) -> Answer:
    return Answer("ranked", [Recommended(item, 0.5, "next") for item in items], "m1")


async def _acted(pool: Pool, *actions: tuple[str, str]) -> None:
    store = PostgresSignalStore(pool)
    await store.maintain()
    done = [Action("anna", item, event_type, now_us(), new_id_bytes()) for event_type, item in actions]
    async with transaction(pool) as connection:
        await store.add(connection, done)


async def test_the_recommender_answers_where_it_is_there(ladder: Ladder, recommender: Recommender) -> None:
    recommender.answer = _made("kite")
    assert await ladder.answer(Ask("anna")) == recommender.answer


async def test_without_it_what_was_made_ahead(ladder: Ladder, pool: Pool) -> None:
    await PrecomputedStore(pool).write({"anna": _made("kite", "pot", "ball")})
    await _acted(pool, ("not_interested", "pot"), ("purchase", "ball"))
    answer = await ladder.answer(Ask("anna"))
    assert (answer.rung, _ids(answer), answer.model_version) == ("precomputed", ["kite"], "m1")
    assert answer.computed_at_us is not None
    assert _ids(await ladder.answer(Ask("anna", exclude_bought=False))) == ["kite", "ball"]


async def test_what_was_made_before_the_last_action_says_so(ladder: Ladder, pool: Pool) -> None:
    await _acted(pool, ("view", "cup"))
    [viewed] = await PostgresSignalStore(pool).recent("anna")
    made = structs.replace(_made("kite"), last_action_at_us=viewed.occurred_at)
    await PrecomputedStore(pool).write({"anna": made, "bert": _made("kite")})
    answer = await ladder.answer(Ask("anna"))
    assert (answer.last_action_at_us, answer.outdated) == (viewed.occurred_at, False)
    await _acted(pool, ("view", "pot"))
    answer = await ladder.answer(Ask("anna"))
    assert (answer.last_action_at_us, answer.outdated) == (viewed.occurred_at, True)
    assert not (await ladder.answer(Ask("bert"))).outdated


async def test_what_left_the_shelves_since_is_not_shown(ladder: Ladder, pool: Pool) -> None:
    await PrecomputedStore(pool).write({"anna": _made("kite", "pot")})
    await pool.execute("UPDATE item SET is_active = false WHERE item_id = 'kite'")
    assert _ids(await ladder.answer(Ask("anna"))) == ["pot"]


async def test_without_that_what_is_popular(ladder: Ladder, pool: Pool) -> None:
    answer = await ladder.answer(Ask("anna", limit=3))
    assert (answer.rung, _ids(answer)) == ("popular", ["cup", "pot", "ball"])
    assert [one.score for one in answer.items] == [50 / 1_000_000, 40 / 1_000_000, 30 / 1_000_000]
    await _acted(pool, ("purchase", "cup"), ("view", "ball"))
    assert _ids(await ladder.answer(Ask("anna", exclude=("pot",), exclude_seen=True))) == ["kite"]


async def test_the_same_words_hold_on_every_rung(ladder: Ladder, pool: Pool) -> None:
    assert _ids(await ladder.answer(Ask("anna", category="toys"))) == ["ball", "kite"]
    assert _ids(await ladder.answer(Ask("anna", context="similar", item_id="kite"))) == ["ball"]
    await pool.execute("UPDATE item SET in_stock = false WHERE item_id = 'cup'")
    assert _ids(await ladder.answer(Ask("anna", in_stock=True))) == ["pot", "ball", "kite"]
    await pool.execute("UPDATE item SET is_active = false WHERE item_id = 'pot'")
    assert _ids(await ladder.answer(Ask("anna"))) == ["cup", "ball", "kite"]


async def test_without_postgres_what_was_popular_when_it_was_there(
    ladder: Ladder, popular: Popular, reads: Pool
) -> None:
    refreshing = asyncio.create_task(popular.keep_refreshing())
    while not _ids(popular.remembered(Ask("anna"), ())):
        await asyncio.sleep(0.01)
    reads.terminate()
    answer = await ladder.answer(Ask("anna", category="toys", exclude=("ball",)))
    refreshing.cancel()
    assert (answer.rung, _ids(answer)) == ("memory", ["kite"])


async def test_a_part_that_hangs_is_waited_for_once_and_left_alone(ladder: Ladder, recommender: Recommender) -> None:
    recommender.hangs = True
    assert (await ladder.answer(Ask("anna"))).rung == "popular"
    assert (await ladder.answer(Ask("anna"))).rung == "popular"
    assert recommender.asked == 1


async def test_what_is_popular_is_read_once_for_a_while(
    recommender: Recommender, reads: Pool, popular: Popular
) -> None:
    kept = Popular(PopularItems(reads), kept_s=60)
    ladder = Ladder(recommender.recommend, PrecomputedStore(reads), PostgresSignalStore(reads), kept)
    before = _looks("popular", "miss"), _looks("popular", "hit")
    for account_id in ("anna", "bert", "carl"):
        assert (await ladder.answer(Ask(account_id))).rung == "popular"
    assert (_looks("popular", "miss"), _looks("popular", "hit")) == (before[0] + 1, before[1] + 2)


def _looks(cache: str, result: str) -> float:
    name = "footfall_recommendation_cache_looks_total"
    return REGISTRY.get_sample_value(name, {"cache": cache, "result": result}) or 0


async def test_an_answer_without_items_is_none(ladder: Ladder, recommender: Recommender) -> None:
    recommender.answer = _made()
    assert (await ladder.answer(Ask("anna"))).rung == "popular"
