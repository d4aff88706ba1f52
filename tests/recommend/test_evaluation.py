"""Figures against figures done by hand, and splits that keep nothing later."""

import numpy as np
import pytest

from recommend.arrays import Floats, Places, floats
from recommend.evaluation import after, evaluate, ndcg
from recommend.questions import is_new_interest, known_items
from recommend.training import time_of_share
from tests.recommend.conftest import Shop
from tests.recommend.test_neighbours import actions_of


def test_ndcg_of_one_right_item() -> None:
    assert ndcg(np.array([0.0])) == 1
    assert ndcg(np.array([1.0])) == pytest.approx(1 / np.log2(3))
    assert ndcg(np.array([9.0, 10.0])) == pytest.approx(1 / np.log2(11) / 2)


def test_all_items_but_the_known_ones_are_ranked() -> None:
    letters = "abcdefghijklmnopqrst"
    actions = actions_of({"1": letters, "2": "ab"})
    place = int(actions.starts[1] + 1)  # Account 2, item b; it knows a.

    def by(order: str) -> Floats:
        return floats([-order.index(one) for one in actions.item_ids])

    def judged(scores: Floats) -> tuple[float, float, float]:
        found = evaluate(actions, np.array([place]), lambda _: scores[None])
        return found.hit_rate, found.ndcg, found.auc

    def is_close(found: tuple[float, float, float], expected: tuple[float, float, float]) -> bool:
        return bool(np.allclose(found, expected))

    assert is_close(judged(by("a" + "b" + letters[2:])), (1, 1, 1))
    assert is_close(judged(by("cd" + "b" + "a" + letters[4:])), (1, 0.5, 1 - 2 / 18))
    assert is_close(judged(by(letters[2:] + "ab")), (0, 0, 0))
    assert is_close(judged(np.zeros(20, np.float32)), (1, 1 / np.log2(11), 0.5))
    unknown = floats([-np.inf if one == "b" else 1 for one in actions.item_ids])
    assert is_close(judged(unknown), (0, 0, 0))


def test_coverage_is_of_what_is_shown_to_anybody() -> None:
    actions = actions_of({"1": "abcdefghijklmnopqrst", "2": "ba", "3": "cb"})
    places = np.array([21, 23])
    same = evaluate(actions, places, lambda batch: np.tile(-np.arange(20, dtype=np.float32), (len(batch), 1)))
    assert same.coverage == pytest.approx(11 / 20)


def test_the_last_new_item_and_all_after_it_is_kept_back(shop: Shop) -> None:
    actions, split = shop.actions, shop.split
    asked = dict(zip(actions.account[split.places].tolist(), split.places.tolist(), strict=True))
    assert len(asked) == len(split.places) > 550
    for account, place in list(asked.items())[:100]:
        own = split.known.of_account(account)
        start = int(actions.starts[account])
        assert own.stop - own.start == place - start
        assert actions.item[place] not in actions.item[start:place]
        later = actions.item[place + 1 : int(actions.starts[account + 1])]
        wanted = is_new_interest(actions)[place + 1 : int(actions.starts[account + 1])]
        seen = set(actions.item[start : place + 1].tolist())
        assert all(one in seen for one in later[wanted].tolist())


def test_a_split_by_time_keeps_back_everything_since_and_asks_for_the_first_new_item(shop: Shop) -> None:
    actions = shop.actions
    moment_us = time_of_share(actions, 0.2)
    split = after(actions, moment_us)
    assert split.known.at_us.max() < moment_us
    assert len(split.known) == (actions.at_us < moment_us).sum()
    assert len(np.unique(actions.account[split.places])) == len(split.places) > 100
    assert (actions.at_us[split.places] >= moment_us).all()


def test_known_items_are_newest_first() -> None:
    actions = actions_of({"1": "abcab"})
    assert [actions.item_ids[one] for one in known_items(actions, 4)] == ["a", "c", "b"]


def test_questions_are_judged_whatever_the_batches(shop: Shop) -> None:
    places = shop.split.places[:50]

    def score(batch: Places) -> Floats:
        return floats(np.stack([np.sin(np.arange(len(shop.items)) * (1 + int(one))) for one in batch]))

    assert evaluate(shop.actions, places, score, 7) == evaluate(shop.actions, places, score, 50)
