"""Nothing later is in any feature, and the check that says so catches what leaks."""

from dataclasses import replace

import numpy as np

from recommend.actions import ActionTable
from recommend.arrays import Floats
from recommend.features import NAMES, features
from recommend.leaks import leaking
from recommend.nights import Nights
from recommend.parts import fit_parts
from recommend.questions import question
from recommend.training import candidates_of, time_of_share
from tests.recommend.conftest import SETTINGS, Shop


class Pipeline:
    """What training does for a question after the cut, with one thing that it must not do, if asked for."""

    def __init__(self, shop: Shop, plant: str = "") -> None:
        self.cut_us = time_of_share(shop.actions, 0.15)
        self._items = shop.items
        self._plant = plant
        self.places = np.flatnonzero(shop.actions.at_us > self.cut_us)[::401]

    def compute(self, actions: ActionTable, place: int) -> Floats:
        known = actions if self._plant == "parts" else actions.before(self.cut_us)
        parts = fit_parts(known, self._items, self.cut_us, SETTINGS.parts, 1)
        asked = question(actions, place)
        now = Nights(parts, actions).at(asked.now_us)
        if self._plant == "counts":
            now = Nights(parts, actions).at(int(actions.at_us.max()) + 86_400_000_000)
        if self._plant == "history":
            end = int(actions.starts[actions.account[place] + 1])
            asked = replace(asked, history=question(actions, end - 1).history)
        candidates = candidates_of(now, asked, SETTINGS.candidates)
        return features(now, actions.kinds, asked.history, candidates, asked.now_us)


def test_no_feature_knows_what_came_later(shop: Shop) -> None:
    pipeline = Pipeline(shop)
    assert len(pipeline.places) > 5
    assert leaking(shop.actions, pipeline.places.tolist(), pipeline.compute) == []


def test_parts_that_know_later_actions_are_caught(shop: Shop) -> None:
    pipeline = Pipeline(shop, "parts")
    assert "together_last" in leaking(shop.actions, pipeline.places[:2].tolist(), pipeline.compute)


def test_counts_that_know_later_actions_are_caught(shop: Shop) -> None:
    pipeline = Pipeline(shop, "counts")
    found = leaking(shop.actions, pipeline.places[:2].tolist(), pipeline.compute)
    assert "item_interest_all" in found


def test_a_history_that_goes_on_after_the_question_is_caught(shop: Shop) -> None:
    pipeline = Pipeline(shop, "history")
    assert "account_actions" in leaking(shop.actions, pipeline.places.tolist(), pipeline.compute)


def test_one_feature_that_leaks_is_named_and_no_other(shop: Shop) -> None:
    pipeline = Pipeline(shop)

    def with_leak(actions: ActionTable, place: int) -> Floats:
        rows = pipeline.compute(actions, place).copy()
        rows[:, NAMES.index("hour")] += len(actions)
        return rows

    assert leaking(shop.actions, pipeline.places[:2].tolist(), with_leak) == ["hour"]
