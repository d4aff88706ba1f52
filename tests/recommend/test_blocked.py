"""What the shop has blocked by category, among items that the model knows and among those that came since."""

from domain.actions import Hidden
from recommend.answer import Request
from recommend.arrays import DAY_US
from recommend.recommend import recommend
from recommend.rules import Rules
from recommend.shelf import stocked
from tests.recommend.conftest import Shop
from tests.recommend.test_exploration import catalog_item


def test_items_of_a_blocked_category_are_not_shown(shop: Shop) -> None:
    model, now_us = shop.model, shop.model.trained_until_us
    category_of = dict(zip(model.parts.items.item_ids, model.parts.items.category.tolist(), strict=True))

    def categories(rules: Rules) -> set[str]:
        answer = recommend(model, Request("nobody", limit=20), (), Hidden(), now_us, rules)
        assert len(answer.items) >= 10
        return {model.parts.items.category_names[category_of[one.item_id]] for one in answer.items}

    usual = categories(Rules())
    blocked = frozenset(sorted(usual)[:1])
    assert categories(Rules(blocked_categories=blocked | {"unheard-of"})).isdisjoint(blocked)


def test_nor_are_new_ones_of_it(shop: Shop) -> None:
    now_us = shop.model.trained_until_us + DAY_US
    changed = [catalog_item(name, name, now_us, category=name) for name in ("knives", "cups")]
    new = stocked(shop.model, changed, now_us, Rules(blocked_categories=frozenset({"knives"}))).new
    assert "cups" in new.item_ids
    assert "knives" not in new.item_ids
