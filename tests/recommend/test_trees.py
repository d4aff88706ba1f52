"""Trees laid out say what LightGBM says."""

from typing import Any

import lightgbm
import numpy as np
import pytest

from recommend.arrays import floats
from recommend.trees import laid_out


def _trained(rows: Any, categories: list[int] | None = None, **parameters: Any) -> lightgbm.Booster:
    random = np.random.default_rng(1)
    wanted = rows[:, 0] * 3 + np.nan_to_num(rows[:, 1]) ** 2 + random.normal(0, 0.1, len(rows))
    usual = {"objective": "regression", "num_leaves": 32, "min_data_in_leaf": 3, "verbosity": -1, "seed": 1}
    data = lightgbm.Dataset(rows, wanted, categorical_feature=categories or [])
    return lightgbm.train(usual | parameters, data, 50)


def _said(booster: lightgbm.Booster, rows: Any) -> Any:
    said: Any = booster.predict(rows)
    return said.tolist()


@pytest.fixture
def rows() -> Any:
    random = np.random.default_rng(0)
    # Coarse, so that many stand exactly at a threshold's side.
    return floats(np.round(random.normal(size=(3_000, 6)), 1))


@pytest.mark.parametrize("leaves", [2, 3, 31, 32])
def test_trees_say_what_lightgbm_says(rows: Any, leaves: int) -> None:
    booster = _trained(rows, num_leaves=leaves)
    trees = laid_out(booster)
    assert trees is not None
    for some in (rows, np.asfortranarray(rows), rows[:1], rows[:17], rows[:0]):
        assert trees.score(some).tolist() == (_said(booster, some) if len(some) else [])


def test_what_stands_at_a_threshold_goes_left(rows: Any) -> None:
    booster = _trained(rows)
    trees = laid_out(booster)
    assert trees is not None
    # LightGBM takes what is smaller than 1e-35 for 0, which no feature is without being 0.
    thresholds = trees.threshold[np.abs(trees.threshold) > 1e-30]
    at = np.repeat(thresholds[:, None], rows.shape[1], axis=1)
    beyond = np.nextafter(at, np.float32(np.inf))
    for some in (at, beyond):
        assert trees.score(some).tolist() == _said(booster, some)


def test_a_tree_of_one_leaf_says_the_same_of_all(rows: Any) -> None:
    booster = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(rows, np.ones(len(rows))), 1)
    trees = laid_out(booster)
    assert trees is not None
    assert trees.score(rows).tolist() == _said(booster, rows)


def test_what_is_not_understood_is_left_to_lightgbm(rows: Any) -> None:
    assert laid_out(_trained(rows, num_leaves=33)) is None
    assert laid_out(_trained(np.abs(np.round(rows)), [0])) is None
    rows[::3, 1] = np.nan
    assert laid_out(_trained(rows)) is None
