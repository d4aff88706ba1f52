"""Popularity: exact sums, pages by key, windows by day."""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.event_types import load_event_weights
from store.popularity import AfterProduct, PopularityDelta, PopularityStore, count_popularity
from store.postgres import Pool, transaction
from tests.factories import interaction, now_us, some_interactions

WEIGHTS = load_event_weights()


def today() -> date:
    """Asked anew by each test: the day may change between them."""
    return datetime.now(UTC).date()


@pytest.fixture
def store(pool: Pool) -> PopularityStore:
    return PopularityStore(pool)


async def _add(store: PopularityStore, pool: Pool, scores: dict[str, int], *, days_ago: int = 0) -> None:
    day = today() - timedelta(days=days_ago)
    async with transaction(pool) as connection:
        await store.add(
            connection, {(day, product): PopularityDelta(score=score) for product, score in scores.items()}
        )


def test_only_weighted_types_about_products_count() -> None:
    events = [
        interaction(event_type="purchase", ref_id="cup"),
        interaction(event_type="remove_from_cart", ref_id="cup"),
        interaction(event_type="ask_question", ref_id="pot"),
        interaction(event_type="unheard_of", ref_id="pan"),
        interaction(event_type="view", ref_type="Category", ref_id="kitchen"),
    ]
    counted = {product: delta for (_, product), delta in count_popularity(events, WEIGHTS).items()}
    assert counted == {
        "cup": PopularityDelta(score=500_000, purchase=1, cart=1),
        "pot": PopularityDelta(score=250_000),
    }


@given(st.randoms(use_true_random=False))
def test_the_sum_does_not_depend_on_the_order(picker: random.Random) -> None:
    events = some_interactions(200)
    mixed = picker.sample(events, len(events))
    assert count_popularity(mixed, WEIGHTS) == count_popularity(events, WEIGHTS)


async def test_additions_add_up(store: PopularityStore, pool: Pool) -> None:
    for _ in range(10):
        await _add(store, pool, {"cup": 300_000, "pot": -100_000})
    assert [(one.product_id, one.score) for one in await store.top(5)] == [("cup", 3_000_000), ("pot", -1_000_000)]


async def test_pages_meet_without_gap_or_overlap(store: PopularityStore, pool: Pool) -> None:
    scores = {f"p{n:03}": n // 4 for n in range(100)}
    await _add(store, pool, scores)
    expected = sorted(scores, key=lambda product: (-scores[product], product))
    for first_day in (None, today()):
        found: list[str] = []
        after = None
        while True:
            page = await (store.top(7, after) if first_day is None else store.top_since(first_day, 7, after))
            if not page:
                break
            found += [one.product_id for one in page]
            after = AfterProduct(page[-1].score, page[-1].product_id)
        assert found == expected


async def test_a_window_is_of_its_days_only(store: PopularityStore, pool: Pool) -> None:
    await _add(store, pool, {"cup": 5}, days_ago=8)
    await _add(store, pool, {"pot": 3}, days_ago=6)
    await _add(store, pool, {"pot": 1})
    assert [one.product_id for one in await store.top(5)] == ["cup", "pot"]
    (pot,) = await store.top_since(today() - timedelta(days=6), 5)
    assert (pot.product_id, pot.score) == ("pot", 4)
    await store.forget_days(today() - timedelta(days=7))
    assert len(await store.top_since(today() - timedelta(days=30), 5)) == 1
    assert len(await store.top(5)) == 2


async def test_what_forgotten_days_had_is_kept_so_that_totals_can_be_told(store: PopularityStore, pool: Pool) -> None:
    for days_ago in range(6):
        await _add(store, pool, {"cup": 5, "pot": -1, f"only {days_ago}": 2}, days_ago=days_ago)
    both_sides = """
        SELECT product_id, sum(score) AS score FROM (
            SELECT product_id, score FROM product_popularity_forgotten
            UNION ALL SELECT product_id, score FROM product_popularity_daily) AS parts
        GROUP BY product_id ORDER BY product_id"""
    totals = await pool.fetch("SELECT product_id, score FROM product_popularity ORDER BY product_id")
    for kept in (4, 4, 2, 0):
        await store.forget_days(today() - timedelta(days=kept - 1))
        assert await pool.fetchval("SELECT count(DISTINCT day) FROM product_popularity_daily") == kept
        assert await pool.fetch(both_sides) == totals


async def test_a_day_that_is_forgotten_while_it_is_added_to_is_lost_on_neither_side(
    store: PopularityStore, pool: Pool
) -> None:
    day = today() - timedelta(days=9)
    await _add(store, pool, {"cup": 1}, days_ago=9)

    async def forget() -> None:
        for _ in range(20):
            await store.forget_days(today())

    async def add() -> None:
        for _ in range(40):
            await _add(store, pool, {"cup": 1}, days_ago=9)

    await asyncio.gather(forget(), add(), add())
    await store.forget_days(day + timedelta(days=1))
    assert await pool.fetchval("SELECT score FROM product_popularity_forgotten") == 81


async def test_events_land_on_the_day_on_which_they_occurred(store: PopularityStore, pool: Pool) -> None:
    events = [interaction(occurred_at=now_us() - 3 * 86_400_000_000)]
    async with transaction(pool) as connection:
        await store.add(connection, count_popularity(events, WEIGHTS))
    assert await store.top_since(today() - timedelta(days=2), 5) == []
    assert len(await store.top_since(today() - timedelta(days=3), 5)) == 1
