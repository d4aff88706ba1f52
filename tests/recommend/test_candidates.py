"""Sources on their own, and merged."""

import numpy as np

from domain.actions import Action
from recommend import candidates as find
from recommend.arrays import Codes, floats
from recommend.candidates import SOURCES, CandidateSettings, Sourced, merge
from recommend.history import history_before, history_of_signals
from tests.recommend.conftest import Shop


def sourced(*items: int) -> Sourced:
    return Sourced(np.array(items, np.int32), floats(np.arange(len(items), 0, -1)))


def test_merged_candidates_are_distinct_and_know_their_places_in_each_source() -> None:
    merged = merge({"collaborative": sourced(7, 3), "content": sourced(3, 9, 7)})
    assert merged.item.tolist() == [3, 7, 9]
    assert [SOURCES[one] for one in merged.source] == ["content", "collaborative", "content"]
    assert merged.rank[SOURCES.index("content")].tolist() == [1, floats(1 / 3), 0.5]
    assert merged.rank[SOURCES.index("trending")].tolist() == [0, 0, 0]
    assert merged.score.argmax() == 0


def test_nothing_found_is_no_candidate() -> None:
    assert len(merge({}).item) == 0


def test_of_a_small_catalog_everything_is_a_candidate() -> None:
    merged = merge({"next": sourced(2)}, everything=4)
    assert merged.item.tolist() == [0, 1, 2, 3]
    assert merged.score.argmax() == 2


def test_each_source_keeps_to_its_number_without_duplicates(shop: Shop) -> None:
    parts = shop.model.parts
    history = history_before(shop.actions, int(shop.split.places[0]))
    few = CandidateSettings(collaborative=20, next=15, content=10, popular=8, trending=5)
    found = find.all_sources(parts, history, few)
    assert {name: len(one.item) for name, one in found.items()} == {
        "collaborative": 20, "next": 15, "content": 10, "popular": 8, "trending": 5,
    }  # fmt: skip
    for one in found.values():
        assert len(np.unique(one.item)) == len(one.item)
        assert (np.diff(one.score) <= 1e-6).all()


def test_popular_is_of_the_accounts_categories_or_of_the_preferred_ones(shop: Shop) -> None:
    parts = shop.model.parts
    nobody = history_before(shop.actions, 0)
    category = parts.items.category

    def categories(items: Codes) -> set[int]:
        return set(category[items].tolist())

    wanted = int(category[5])
    assert categories(find.popular(parts, nobody, [wanted], 10).item) == {wanted}
    assert len(categories(find.popular(parts, nobody, [], 50).item)) > 1
    history = history_before(shop.actions, int(shop.split.places[3]))
    own = categories(history.item[history.interest > 0])
    assert categories(find.popular(parts, history, [], 50).item) <= own


def test_a_rejected_item_leads_to_nothing(shop: Shop) -> None:
    parts, kinds = shop.model.parts, shop.actions.kinds
    codes = shop.model.item_codes
    viewed = history_of_signals([Action("a", "item-1", "view", 1, bytes(16))], kinds, codes)
    rejected = history_of_signals([Action("a", "item-1", "not_interested", 1, bytes(16))], kinds, codes)
    for source in (find.following, find.content):
        assert len(source(parts, viewed, 20).item)
        assert not len(source(parts, rejected, 20).item)


def test_the_planted_taste_is_found(shop: Shop) -> None:
    """Most of what follows is of the taste of the newest item."""
    taste = shop.planted.laws.taste_of_item
    number = np.array([int(one.removeprefix("item-")) for one in shop.actions.item_ids])
    same = []
    for place in shop.split.places[:100].tolist():
        history = history_before(shop.actions, place)
        found = find.following(shop.model.parts, history, 10).item
        same.append(float(np.mean(taste[number[found]] == taste[number[history.item[0]]])))
    assert np.mean(same) > 0.5
