"""The baselines are what their names say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recommend.arrays import Codes, floats
from recommend.baselines import BASELINES, als, asking, ease, item_knn, item_knn_last, popularity, tuned
from recommend.evaluation import evaluate
from recommend.linear import pairs
from recommend.questions import known_items
from tests.recommend.conftest import Shop
from tests.recommend.test_neighbours import actions_of


def codes(items: str) -> Codes:
    return np.array([ord(one) - ord("a") for one in items], np.int32)


def test_popularity_counts_and_forgets() -> None:
    actions = actions_of({"1": "abb", "2": "a", "3": "cb"})
    assert popularity(actions, half_life_days=1e9)([codes("c")])[0].tolist() == pytest.approx([2, 3, 1], rel=1e-4)
    (short,) = popularity(actions, half_life_days=1 / 1440)([codes("c")])
    assert short[1] / short[0] == pytest.approx((0.5 + 1 + 0.5) / (0.25 + 0.25), rel=1e-4)


def test_item_knn_sums_cosines_and_the_last_ten_count_by_age() -> None:
    actions = actions_of({"1": "abc", "2": "ab", "3": "cd"})
    plain = item_knn(actions, neighbours=10, shrink=0)([codes("ad")])[0]
    assert plain[1] == pytest.approx(1)
    assert plain[2] == pytest.approx(0.5 + 1 / np.sqrt(2))
    last = item_knn_last(actions, neighbours=10, shrink=0, decay=0.5)
    newest_a, newest_d = last([codes("ad"), codes("da")])
    assert newest_a[2] == pytest.approx(0.5 + 0.5 / np.sqrt(2))
    assert newest_d[2] == pytest.approx(0.25 + 1 / np.sqrt(2))


def test_only_the_last_ten_count() -> None:
    actions = actions_of({"1": "az", "2": "bcdefghijk"})
    last = item_knn_last(actions, neighbours=20, shrink=0, decay=1)
    letters = list(actions.item_ids)
    history = np.array([letters.index(one) for one in "bcdefghijka"], np.int32)
    assert last([history])[0][letters.index("z")] == 0
    assert last([history[1:]])[0][letters.index("z")] > 0


def test_ease_is_the_best_linear_model_without_itself() -> None:
    """Against its definition: the least squares of the matrix by itself with a zero diagonal, column by column."""
    random = np.random.default_rng(2)
    actions = actions_of({str(one): "".join(random.choice(list("abcdefg"), 4, replace=False)) for one in range(30)})
    matrix = np.asarray(pairs(actions).todense(), np.float64)
    found = ease(actions, regularization=3.0)([np.array([one], np.int32) for one in range(7)])
    for column in range(7):
        others = [one for one in range(7) if one != column]
        left = matrix[:, others].T @ matrix[:, others] + 3.0 * np.eye(6)
        weights = np.linalg.solve(left, matrix[:, others].T @ matrix[:, column])
        assert_allclose(found[others, column], weights, rtol=1e-3, atol=1e-4)
        assert found[column, column] == 0


def test_every_baseline_does_better_than_luck_and_the_personal_ones_than_popularity(shop: Shop) -> None:
    """The first of each grid, on a part of the questions."""
    places = shop.split.places[:200]
    found = {}
    for one in BASELINES:
        scorer = one.fit(shop.split.known, **one.variants[0])
        found[one.name] = evaluate(shop.actions, places, asking(scorer, shop.actions)).ndcg
    luck = 10 / len(shop.items)
    assert min(found.values()) > luck / 2
    assert found["item-kNN, last ten with decay"] > 1.5 * found["popularity"]
    assert found["EASE"] > found["popularity"]


def test_tuning_takes_the_variant_that_does_best_on_what_was_kept_back(shop: Shop) -> None:
    tried = {"neighbours": 1.0, "shrink": 1e9}, {"neighbours": 200.0, "shrink": 10.0}
    baseline = next(one for one in BASELINES if one.name == "item-kNN")
    chosen, _ = tuned(baseline, shop.split.known, tried)
    assert chosen == tried[1]


def test_als_scores_by_folding_in(shop: Shop) -> None:
    scorer = als(shop.split.known, factors=8, regularization=0.1, alpha=10)
    popular = popularity(shop.split.known, half_life_days=1e9)
    mine, everybodys = (
        evaluate(shop.actions, shop.split.places[:200], asking(one, shop.actions)).ndcg for one in (scorer, popular)
    )
    assert mine > everybodys
    histories = [known_items(shop.actions, int(place)) for place in shop.split.places[:3]]
    scores = scorer(histories)
    assert scores.shape == (3, len(shop.items))
    assert not np.allclose(scores[0], scores[1])
    assert floats(scores).dtype == np.float32
