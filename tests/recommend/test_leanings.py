"""What histories say of groups, by hand and in the planted shop."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from domain.actions import Action
from recommend.arrays import HOUR_US, Codes, Floats, Places, floats
from recommend.evaluation import evaluate
from recommend.history import History, history_before, history_of_signals
from recommend.leanings import CHANCES, chances, leanings
from recommend.moves import Moves
from recommend.neighbours import Lists
from recommend.questions import question
from tests.recommend.conftest import Shop

MINUTE_US = 60_000_000


@pytest.fixture
def apart(shop: Shop) -> Moves:
    """Of three groups that do not lead to each other; an item's is the rest of its code by three."""
    size = len(shop.items)
    none = Lists(np.full((size, 1), -1, np.int32), np.zeros((size, 1), np.float32))
    group = (np.arange(size) % 3).astype(np.int32)
    return Moves(group, np.eye(3, dtype=np.float32), np.full(3, 1 / 3, np.float32), none, np.ones(size, np.float32))


def history(shop: Shop, *newest_first: tuple[int, str, int]) -> History:
    """Of items, event types and minutes."""
    signals = [
        Action("a", shop.actions.item_ids[item], kind, minute * MINUTE_US, bytes(16))
        for item, kind, minute in newest_first
    ]
    return history_of_signals(signals, shop.actions.kinds, shop.model.item_codes)


def test_who_did_nothing_leans_where_everybody_does(shop: Shop) -> None:
    moves = shop.model.parts.moves
    found = leanings(moves, history_before(shop.actions, 0))
    assert found.last is None
    for one in (found.account, found.recent, found.visit):
        assert_allclose(one, moves.arriving)


def test_visits_count_and_not_every_look_of_them(shop: Shop, apart: Moves) -> None:
    """One visit of four looks in group 0, two visits of one in group 1."""
    looks = [(1, "view", 900), (4, "view", 600), *((0 + 3 * one, "view", 4 - one) for one in range(4))]
    found = leanings(apart, history(shop, *looks))
    assert_allclose(found.account, floats([1 + 3 * 0.15, 2, 0]) / (3.45 + 1) + 1 / 3 / 4.45, rtol=1e-4)
    assert found.recent[1] / found.recent[0] > found.account[1] / found.account[0]


def test_what_follows_on_the_same_page_and_what_is_rejected_says_nothing_of_where_to_go(
    shop: Shop, apart: Moves
) -> None:
    once = leanings(apart, history(shop, (0, "view", 1)))
    bought = leanings(apart, history(shop, (0, "purchase", 3), (0, "add_to_cart", 2), (0, "view", 1)))
    assert_allclose(bought.account, once.account)
    rejected = leanings(apart, history(shop, (1, "not_interested", 2), (0, "view", 1)))
    assert_allclose(rejected.account, once.account)
    assert rejected.last == 0


def test_a_visit_leans_to_its_newest_looks(shop: Shop, apart: Moves) -> None:
    found = leanings(apart, history(shop, (2, "view", 1_000), (0, "view", 999), (1, "view", 1)))
    assert found.visit[2] > found.visit[0] > 0
    assert found.visit[1] == 0


def mixed(shop: Shop, past: History, now_us: int) -> Floats:
    items: Codes = np.arange(len(shop.items), dtype=np.int32)
    rows = chances(shop.model.parts, past, items, now_us)
    return floats(rows[CHANCES.index("chance_mixed")])


def test_mixed_chances_add_up_and_forget_the_visit_when_it_is_over(shop: Shop) -> None:
    place = int(shop.split.places[5])
    past = history_before(shop.actions, place)
    newest_us = int(past.action_us[0])
    on, over = mixed(shop, past, newest_us + MINUTE_US), mixed(shop, past, newest_us + 10 * HOUR_US)
    assert on.sum() == pytest.approx(1, abs=0.05)
    assert over.sum() == pytest.approx(1, abs=0.05)
    group = shop.model.parts.moves.group
    here = group == group[past.item[0]]
    assert on[here].sum() > over[here].sum()


def test_mixed_chances_alone_foretell_most_of_what_can_be(shop: Shop) -> None:
    def score(places: Places) -> Floats:
        asked = [question(shop.actions, place) for place in places.tolist()]
        return floats(np.stack([mixed(shop, one.history, one.now_us) for one in asked]))

    def without_visit(places: Places) -> Floats:
        asked = [question(shop.actions, place) for place in places.tolist()]
        return floats(np.stack([mixed(shop, one.history, one.now_us + 10 * HOUR_US) for one in asked]))

    places = shop.split.places[:400]
    assert evaluate(shop.actions, places, score).ndcg > 1.2 * evaluate(shop.actions, places, without_visit).ndcg


def test_the_order_of_candidates_changes_nothing(shop: Shop) -> None:
    past = history_before(shop.actions, int(shop.split.places[8]))
    items = np.arange(0, 300, dtype=np.int32)
    order = np.random.default_rng(0).permutation(300)
    now_us = int(past.action_us[0]) + MINUTE_US
    straight, shuffled = (chances(shop.model.parts, past, one, now_us) for one in (items, items[order]))
    assert_allclose(shuffled, straight[:, order], rtol=1e-5)
