"""The ranker learns what was planted, and its chances are chances."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.testing import assert_allclose

from recommend.arrays import Floats, Places
from recommend.evaluation import evaluate
from recommend.features import NAMES, features
from recommend.nights import Nights
from recommend.questions import question
from recommend.training import candidates_of, ranking_set, train
from tests.recommend.conftest import SETTINGS, Shop


def test_about_a_hundred_features_each_with_its_own_name() -> None:
    assert 90 <= len(NAMES) == len(set(NAMES)) <= 150


def scores_by(shop: Shop, places: Places, column: str | None) -> Floats:
    """All items by the ranker, or by one feature."""
    scores = np.full((len(places), len(shop.items)), -np.inf, np.float32)
    for row, place in zip(scores, places.tolist(), strict=True):
        asked = question(shop.actions, place)
        candidates = candidates_of(shop.model.parts, asked, SETTINGS.candidates)
        rows = features(shop.model.parts, shop.actions.kinds, asked.history, candidates, asked.now_us)
        row[candidates.item] = rows[:, NAMES.index(column)] if column else shop.ranker.score(rows)
    return scores


def test_the_ranker_does_better_than_any_source_and_not_far_from_the_oracle(shop: Shop) -> None:
    places = shop.split.places[:400]

    def ndcg(column: str | None) -> float:
        return evaluate(shop.actions, places, lambda batch: scores_by(shop, batch, column)).ndcg

    ranked = ndcg(None)
    assert ranked > 1.05 * max(ndcg(name) for name in NAMES if name.startswith("source_"))
    assert ranked > ndcg("then_last")


def test_chances_rise_with_the_score_and_lie_between_0_and_1(shop: Shop) -> None:
    scores = np.linspace(-30, 30, 500, dtype=np.float32)
    chances = shop.ranker.chance(scores)
    assert chances.min() >= 0
    assert chances.max() <= 1
    assert all(left <= right for left, right in pairwise(chances.tolist()))
    assert chances[-1] > 10 * chances[0]


def test_chances_add_up_to_what_happens(shop: Shop) -> None:
    """Over questions that the model does not know: what the candidates' chances promise is what is hit."""
    told, happened = 0.0, 0
    for place in shop.split.places.tolist():
        asked = question(shop.actions, place)
        candidates = candidates_of(shop.model.parts, asked, SETTINGS.candidates)
        rows = features(shop.model.parts, shop.actions.kinds, asked.history, candidates, asked.now_us)
        told += float(shop.ranker.chance(shop.ranker.score(rows)).sum())
        happened += int((candidates.item == shop.actions.item[place]).any())
    assert 0.6 < told / happened < 1.6


def test_the_same_data_trains_the_same_ranker(shop: Shop) -> None:
    _, again = train(shop.split.known, shop.items, SETTINGS)
    assert again.booster.model_to_string() == shop.ranker.booster.model_to_string()


def test_what_is_learned_from_is_what_answers_are_ranked_by(shop: Shop) -> None:
    """Also where few of the candidates are learned from."""
    places = shop.split.places[:12].tolist()
    settings = replace(SETTINGS, negatives=5, newcomers=0.0)
    nights = Nights(shop.model.parts, shop.split.known)
    rows = ranking_set(nights, shop.actions, places, settings)
    ends = np.cumsum(rows.sizes)
    assert len(ends) > 5
    asked_of = iter(places)
    for start, end in zip(ends - rows.sizes, ends, strict=True):
        while True:  # Questions without an answer among the candidates are left out.
            place = next(asked_of)
            asked = question(shop.actions, place)
            parts = nights.at(asked.now_us)
            candidates = candidates_of(parts, asked, settings.candidates)
            if (candidates.item == shop.actions.item[place]).any():
                break
        whole = features(parts, shop.actions.kinds, asked.history, candidates, asked.now_us)
        right = whole[candidates.item == shop.actions.item[place]]
        assert_allclose(rows.features[start], right[0], rtol=1e-5)
        assert end - start == 6
