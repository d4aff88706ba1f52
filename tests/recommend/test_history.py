"""A history holds what came before, newest first; from a table and from signals it is the same."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from domain.actions import Action
from recommend.actions import ActionTable
from recommend.arrays import HOUR_US
from recommend.history import LONGEST, history_before, history_of_signals
from tests.recommend.conftest import Shop


def signals_before(actions: ActionTable, place: int) -> list[Action]:
    """As a store of signals gives them: newest first."""
    start = int(actions.starts[actions.account[place]])
    return [
        Action(
            actions.account_ids[actions.account[one]],
            actions.item_ids[actions.item[one]],
            actions.kinds.names[actions.kind[one]],
            int(actions.at_us[one]),
            bytes(16),
            session_id=f"s-{actions.session[one]}",
        )
        for one in range(place - 1, max(start, place - LONGEST) - 1, -1)
    ]


def test_nothing_of_the_action_itself_or_after_it_or_of_others(shop: Shop) -> None:
    actions = shop.actions
    for place in shop.split.places[:50].tolist():
        history = history_before(actions, place)
        start = int(actions.starts[actions.account[place]])
        expected = actions.item[start:place][::-1][:LONGEST]
        assert_array_equal(history.action_item, expected)
        assert history.item[0] == expected[0]
        assert sorted(history.item) == sorted(set(expected.tolist()))
        assert (np.diff(history.item_us) <= 0).all()


def test_an_accounts_first_action_has_no_history(shop: Shop) -> None:
    assert len(history_before(shop.actions, int(shop.actions.starts[7]))) == 0


def test_signals_make_the_same_history_as_the_table(shop: Shop) -> None:
    codes = {one: code for code, one in enumerate(shop.actions.item_ids)}
    for place in shop.split.places[:50].tolist():
        offline = history_before(shop.actions, place)
        online = history_of_signals(signals_before(shop.actions, place), shop.actions.kinds, codes)
        for name in ("action_item", "action_kind", "action_us", "action_in_visit", "item", "item_us"):
            assert_array_equal(getattr(offline, name), getattr(online, name))
        for name in ("weight", "interest", "bought", "in_visit"):
            assert_allclose(getattr(offline, name), getattr(online, name))


def test_what_the_model_does_not_know_is_left_out(shop: Shop) -> None:
    signals = [
        Action("a", "never-heard-of", "view", 3, bytes(16)),
        Action("a", "item-1", "unheard_of", 2, bytes(16)),
        Action("a", "item-1", "view", 1, bytes(16)),
    ]
    history = history_of_signals(signals, shop.actions.kinds, {"item-1": 5})
    assert history.action_item.tolist() == [5]


def test_without_sessions_a_visit_ends_at_the_first_long_gap(shop: Shop) -> None:
    moments = [10 * HOUR_US, 10 * HOUR_US - 1_000_000, 9 * HOUR_US + 59 * 60_000_000, 8 * HOUR_US, 8 * HOUR_US - 1]
    signals = [Action("a", f"item-{one}", "view", moment, bytes(16)) for one, moment in enumerate(moments)]
    history = history_of_signals(signals, shop.actions.kinds, {f"item-{one}": one for one in range(5)})
    assert history.action_in_visit.tolist() == [1, 1, 1, 0, 0]


def test_an_item_acted_on_twice_stands_where_it_was_last_with_both_weights(shop: Shop) -> None:
    kinds = shop.actions.kinds
    signals = [
        Action("a", "x", "purchase", 30, bytes(16)),
        Action("a", "y", "view", 20, bytes(16)),
        Action("a", "x", "view", 10, bytes(16)),
    ]
    history = history_of_signals(signals, kinds, {"x": 0, "y": 1})
    assert history.item.tolist() == [0, 1]
    assert history.item_us.tolist() == [30, 20]
    assert_allclose(history.weight, [1.1, 0.3], rtol=1e-6)
    assert history.bought.tolist() == [1, 0]
