"""What the shop has blocked is on no rung, whatever the recommender said when it made an answer ahead."""

import pytest

from domain.recommendations import Answer, Ask, Recommended
from serving.popular import Popular
from store.popular_items import PopularItems
from store.postgres import Pool

_CATEGORIES = {"cup": "kitchen", "knife": "knives", "pot": "kitchen", "kite": "toys"}


@pytest.fixture
async def items(pool: Pool) -> PopularItems:
    for score, (item, category) in enumerate(_CATEGORIES.items(), 1):
        await pool.execute("INSERT INTO product_popularity VALUES ($1, $2, 1, 0, 0, 0, 0, now())", item, score)
        await pool.execute(
            "INSERT INTO item (item_id, title, category, tags, created_at, is_active, in_stock, changed_at)"
            " VALUES ($1, $1, $2, '{}', now(), true, true, now())",
            item,
            category,
        )
    return PopularItems(pool, frozenset({"pot"}), frozenset({"knives"}))


def _ids(answer: Answer) -> set[str]:
    return {one.item_id for one in answer.items}


async def test_popular_items(items: PopularItems) -> None:
    popular = Popular(items)
    assert _ids(await popular.answer(Ask("anna"), ())) == {"cup", "kite"}
    assert _ids(await popular.answer(Ask("anna", category="knives"), ())) == set()


async def test_what_was_made_ahead(items: PopularItems) -> None:
    made = Answer("precomputed", [Recommended(one, 0.5, "next") for one in [*_CATEGORIES, "not-in-catalog"]])
    assert _ids(await Popular(items).shown(made)) == {"cup", "kite", "not-in-catalog"}
