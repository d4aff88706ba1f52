"""The linear model of small catalogs, and that large ones do without."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recommend import linear
from recommend.features import NAMES
from recommend.history import history_before
from recommend.linear import fit_linear
from recommend.model import Model
from recommend.parts import fit_parts
from tests.recommend.conftest import SETTINGS, Shop
from tests.recommend.test_features import of
from tests.recommend.test_neighbours import actions_of


def test_weights_are_those_of_least_squares_without_an_items_own() -> None:
    """Of each item those that foretell its column best from the others', done anew by regression for one item."""
    actions = actions_of({"1": "ab", "2": "abc", "3": "bc", "4": "acd", "5": "d"})
    weights = fit_linear(actions, regularization=0.5).weights
    assert_allclose(np.diag(weights), 0)
    matrix = np.asarray(linear.pairs(actions).todense())
    others, own = matrix[:, 1:], matrix[:, 0]
    expected = np.linalg.solve(others.T @ others + 0.5 * np.eye(3), others.T @ own)
    assert_allclose(weights[1:, 0], expected, rtol=1e-4)


def test_a_block_is_of_its_anchors_and_candidates() -> None:
    found = fit_linear(actions_of({"1": "abc", "2": "ab", "3": "cd"}), 1.0)
    anchors, items = np.array([2, 0], np.int32), np.array([1, 3, 2], np.int32)
    assert_allclose(found.block(anchors, items), found.weights[[2, 0]][:, [1, 3, 2]])


def test_a_large_catalog_has_none_and_is_answered_all_the_same(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = history_before(shop.actions, int(shop.split.places[5]))
    columns = [NAMES.index(one) for one in NAMES if one.startswith("linear_")]
    rows, _ = of(shop, past)
    assert rows[:, columns].any()
    monkeypatch.setattr(linear, "MOST_ITEMS", 100)
    moment_us = int(shop.split.known.at_us.max()) + 1
    parts = fit_parts(shop.split.known, shop.items, moment_us, SETTINGS.parts, 1)
    Model("large", parts, shop.model.kinds, shop.model.ranker, SETTINGS.candidates).to_folder(tmp_path)
    read = Model.from_folder(tmp_path)
    assert read.parts.linear.weights.shape == (0, 0)
    assert not read.parts.linear.block(past.item, past.item).any()
