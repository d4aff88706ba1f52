"""New items get their share of the places."""

from dataclasses import replace

import numpy as np

from domain.actions import Hidden
from domain.catalog import Item
from recommend.answer import Reason, Recommended, Request
from recommend.arrays import DAY_US
from recommend.exploration import new_items, woven
from recommend.history import history_before
from recommend.recommend import recommend
from recommend.rules import Rules
from recommend.shelf import Shelf, stocked
from tests.recommend.conftest import Shop


def ranked(count: int) -> list[Recommended]:
    return [Recommended(f"r{one}", 1 - one / 100, "next", Reason("trending")) for one in range(count)]


def new(count: int) -> list[Recommended]:
    return [Recommended(f"n{one}", 0.5, "new", Reason("new")) for one in range(count)]


def ids(items: list[Recommended]) -> list[str]:
    return [one.item_id for one in items]


def test_every_so_often_a_place_is_a_new_items() -> None:
    assert ids(woven(ranked(9), new(3), 6, 1 / 3)) == ["r0", "r1", "n0", "r2", "r3", "n1"]
    assert ids(woven(ranked(9), new(0), 3, 1 / 3)) == ["r0", "r1", "r2"]
    assert ids(woven(ranked(9), new(3), 4, 0)) == ["r0", "r1", "r2", "r3"]


def test_new_items_fill_up_a_short_answer() -> None:
    assert ids(woven(ranked(2), new(5), 4, 0.1)) == ["r0", "r1", "n0", "n1"]


def test_an_item_is_not_shown_twice() -> None:
    both = [replace(new(1)[0], item_id="r1"), *new(2)]
    assert ids(woven(ranked(4), both, 4, 0.5)) == ["r0", "n0", "r1", "n1"]


def catalog_item(item_id: str, title: str, now_us: int, *, category: str | None = None) -> Item:
    return Item(item_id=item_id, title=title, category=category, created_at_us=now_us, changed_at_us=now_us)


def shelf_with(shop: Shop, changed: list[Item]) -> tuple[Shelf, int]:
    now_us = shop.model.trained_until_us + DAY_US
    return stocked(shop.model, changed, now_us), now_us


def test_an_item_that_came_after_training_is_found_by_its_words(shop: Shop) -> None:
    place = int(shop.split.places[11])
    history = history_before(shop.actions, place)
    words = shop.items.text[history.item[0]]
    now_us = shop.model.trained_until_us
    unlike = [catalog_item(f"unlike-{one}", "nothing of the kind", now_us) for one in range(20)]
    shelf, now_us = shelf_with(shop, [*unlike, catalog_item("like", words, now_us)])
    found = new_items(shop.model, Request("a"), history, shelf.new, (), 5, now_us)
    assert "like" in ids(list(found))
    assert not [one for one in found if one.item_id.startswith("unlike")]
    assert {one.source for one in found} == {"new"}
    assert all(0 <= one.score <= 1 for one in found)


def test_luck_changes_by_the_hour_and_the_account(shop: Shop) -> None:
    history = history_before(shop.actions, 0)
    now_us = shop.model.trained_until_us
    shelf, now_us = shelf_with(shop, [catalog_item(f"new-{one}", "x", now_us) for one in range(200)])

    def first(account: str, moment_us: int) -> list[str]:
        return ids(list(new_items(shop.model, Request(account), history, shelf.new, (), 5, moment_us)))

    assert first("a", now_us) == first("a", now_us + 1)
    assert len({tuple(first("a", now_us + hour * 3_600_000_000)) for hour in range(5)}) == 5
    assert first("a", now_us) != first("b", now_us)


def test_rules_hold_for_new_items_too(shop: Shop) -> None:
    history = history_before(shop.actions, 0)
    now_us = shop.model.trained_until_us
    category = shop.items.category_names[1]
    named = [catalog_item(one, "x", now_us, category=category) for one in ("kept", "bought", "excluded")]
    sold_out = Item(
        item_id="sold-out", title="x", category=category, in_stock=False, created_at_us=now_us, changed_at_us=now_us
    )
    gone = catalog_item("gone", "x", now_us)
    deleted = Item(item_id="gone", title="x", created_at_us=now_us, changed_at_us=now_us, deleted_at_us=now_us)
    shelf, now_us = shelf_with(shop, [*named, sold_out, gone, deleted, catalog_item("other", "x", now_us)])
    request = Request("a", category=category, in_stock=True)
    found = new_items(shop.model, request, history, shelf.new, {"bought", "excluded"}, 100, now_us)
    assert "kept" in ids(list(found))
    assert not {"bought", "excluded", "sold-out", "gone", "other"} & set(ids(list(found)))


def test_changes_of_the_catalog_count_at_once(shop: Shop) -> None:
    now_us = shop.model.trained_until_us
    request, rules = Request("nobody", limit=5), Rules(exploration=0, diversity=0, share_of_category=1)
    before = recommend(shop.model, request, [], Hidden(), now_us, rules)
    gone = before.items[0].item_id
    withdrawn = Item(item_id=gone, title="x", is_active=False, created_at_us=1, changed_at_us=now_us)
    shelf = stocked(shop.model, [withdrawn], now_us)
    after = recommend(shop.model, request, [], Hidden(), now_us, rules, shelf)
    assert gone not in [one.item_id for one in after.items]
    assert [one.item_id for one in after.items][:3] == [one.item_id for one in before.items][1:4]


def test_the_model_itself_is_left_as_it_is(shop: Shop) -> None:
    was = shop.model.parts.items.is_active.copy()
    item = Item(item_id=shop.items.item_ids[0], title="x", is_active=False, created_at_us=1, changed_at_us=1)
    shelf = stocked(shop.model, [item], shop.model.trained_until_us)
    assert not shelf.is_active[0]
    assert np.array_equal(shop.model.parts.items.is_active, was)
