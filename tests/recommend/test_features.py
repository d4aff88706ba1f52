"""Features by what they are said to be."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recommend.arrays import HOUR_US, Codes, Floats
from recommend.candidates import Candidates, all_sources, merge
from recommend.features import NAMES, features
from recommend.history import History, history_before
from recommend.popular import ITEM_FEATURES, snapshot
from tests.recommend.conftest import SETTINGS, Shop


def of(shop: Shop, history: History, items: Codes | None = None, **more: object) -> tuple[Floats, Candidates]:
    found = merge(all_sources(shop.model.parts, history, SETTINGS.candidates))
    if items is not None:
        found = found.only(np.searchsorted(found.item, items))
    now_us = shop.model.trained_until_us + HOUR_US
    return features(shop.model.parts, shop.model.kinds, history, found, now_us, **more), found  # type: ignore[arg-type]


@pytest.fixture
def history(shop: Shop) -> History:
    return history_before(shop.actions, int(shop.split.places[5]))


def column(rows: Floats, name: str) -> Floats:
    return rows[:, NAMES.index(name)]


def test_every_feature_is_a_number_with_and_without_a_history(shop: Shop, history: History) -> None:
    for one in (history, history_before(shop.actions, 0)):
        rows, candidates = of(shop, one)
        assert rows.shape == (len(candidates.item), len(NAMES))
        assert np.isfinite(rows).all()


def test_a_candidates_features_do_not_depend_on_the_others(shop: Shop, history: History) -> None:
    """Training computes them for a few of the candidates that serving computes them for."""
    rows, candidates = of(shop, history)
    few = np.arange(len(candidates.item))[3::17]
    some, _ = of(shop, history, candidates.item[few])
    assert_allclose(some, rows[few], rtol=1e-4, atol=1e-5)


def test_what_the_account_did_with_the_candidate_itself(shop: Shop, history: History) -> None:
    rows, candidates = of(shop, history)
    kinds = shop.model.kinds
    now_us = shop.model.trained_until_us + HOUR_US
    for place, item in enumerate(candidates.item.tolist()):
        own = history.action_item == item
        kind = history.action_kind[own]
        assert column(rows, "own_times")[place] == own.sum()
        assert column(rows, "own_carts")[place] == kinds.is_cart[kind].sum()
        assert column(rows, "own_purchases")[place] == kinds.is_purchase[kind].sum()
        assert column(rows, "own_rejections")[place] == (kinds.weight[kind] < 0).sum()
        if own.any():
            since_days = (now_us - history.action_us[own].max()) / (24 * HOUR_US)
            assert column(rows, "own_days_since")[place] == pytest.approx(since_days, rel=1e-4)


def test_likeness_to_the_last_item_is_the_lists(shop: Shop, history: History) -> None:
    rows, candidates = of(shop, history)
    then = shop.model.parts.then
    near = dict(zip(then.item[history.item[0]].tolist(), then.score[history.item[0]].tolist(), strict=True))
    assert_allclose(column(rows, "then_last"), [near.get(one, 0) for one in candidates.item.tolist()], rtol=1e-5)
    assert column(rows, "then_last").any()


def test_category_features_count_the_accounts_items_of_the_candidates_category(shop: Shop, history: History) -> None:
    rows, candidates = of(shop, history)
    category = shop.items.category
    for place, item in enumerate(candidates.item.tolist()):
        same = category[history.item] == category[item]
        assert column(rows, "category_all")[place] == pytest.approx(history.interest[same].sum(), rel=1e-4)
        assert column(rows, "category_last")[place] == same[0]
        assert column(rows, "category_bought")[place] == history.bought[same].sum()


def test_clocks_of_apps_may_be_ahead(shop: Shop, history: History) -> None:
    ahead = replace(history, action_us=history.action_us + 10**13, item_us=history.item_us + 10**13)
    rows, _ = of(shop, ahead)
    assert np.isfinite(rows).all()
    assert column(rows, "account_hours_since").max() == 0


def test_preferred_categories_mark_their_candidates(shop: Shop, history: History) -> None:
    rows, candidates = of(shop, history, preferred=[2])
    assert_array_equal(column(rows, "preferred_category"), shop.items.category[candidates.item] == 2)


def test_counts_of_a_snapshot_are_of_before_its_moment(shop: Shop) -> None:
    actions = shop.actions
    moment_us = int(np.median(actions.at_us))
    found = snapshot(actions, shop.items, shop.model.parts.moves.group, moment_us)
    known = actions.at_us < moment_us
    interest = actions.kinds.interest[actions.kind]
    for name, days in (("item_interest_1d", 1), ("item_interest_7d", 7), ("item_interest_all", 10**6)):
        window = known & (actions.at_us > moment_us - days * 24 * HOUR_US)
        expected = np.log1p(np.bincount(actions.item[window], interest[window], len(shop.items)))
        assert_allclose(found.features[:, ITEM_FEATURES.index(name)], expected, rtol=1e-4, atol=1e-5)
    accounts = [len(np.unique(actions.account[known & (actions.item == item)])) for item in range(20)]
    assert_allclose(
        np.expm1(found.features[:20, ITEM_FEATURES.index("item_accounts")]), accounts, rtol=1e-4, atol=1e-4
    )
    last = max(actions.at_us[known & (actions.item == 3)])
    days_since = found.features[3, ITEM_FEATURES.index("item_last_seen_days")]
    assert days_since == pytest.approx((moment_us - last) / (24 * HOUR_US), rel=1e-4)


def test_popular_and_trending_are_best_first_and_known(shop: Shop) -> None:
    found = shop.model.parts.snapshot
    counts = np.bincount(shop.split.known.item, minlength=len(shop.items))
    for ranked in (found.popular, found.trending):
        assert counts[ranked].min() > 0
        assert counts[ranked[:20]].mean() > 2 * counts[ranked].mean()
    assert (np.diff(found.popular_score(found.popular)) <= 1e-6).all()
