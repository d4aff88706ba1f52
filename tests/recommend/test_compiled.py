"""Compiled loops find what whole arrays do."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from recommend import lookup
from recommend.arrays import HOUR_US, NONE, Codes, Floats, floats
from recommend.best import best_of, best_places
from recommend.candidates import all_sources, following, merge
from recommend.features import NAMES, features
from recommend.history import History, history_before
from recommend.leanings import leanings
from tests.recommend import plain
from tests.recommend.conftest import SETTINGS, Shop

_SCORES = st.lists(st.sampled_from([0.0, -0.0, -1.5, 1e-30, 0.25, 0.5, 3.0]) | st.floats(-9, 9, width=32))


@pytest.fixture
def histories(shop: Shop) -> Sequence[History]:
    """Some short, some long."""
    return [history_before(shop.actions, place) for place in shop.split.places[:40].tolist()]


def test_features_are_those_of_whole_arrays(shop: Shop, histories: Sequence[History]) -> None:
    parts, kinds, now_us = shop.model.parts, shop.model.kinds, shop.model.trained_until_us + HOUR_US
    for history in histories:
        found = merge(all_sources(parts, history, SETTINGS.candidates))
        rows = features(parts, kinds, history, found, now_us)
        of_account = plain.account(parts, kinds, history, now_us)
        expected: Mapping[str, Floats | float] = {
            **plain.likenesses(parts, history, found.item, now_us),
            **plain.own(parts, kinds, history, found.item, now_us),
            **of_account,
        }
        for name, column in expected.items():
            assert_allclose(rows[:, NAMES.index(name)], column, rtol=1e-3, atol=1e-4, err_msg=name)


def test_leanings_are_those_of_whole_arrays(shop: Shop, histories: Sequence[History]) -> None:
    for history in histories:
        found = leanings(shop.model.parts.moves, history)
        expected = plain.leanings(shop.model.parts.moves, history)
        for one, other in zip((found.account, found.recent, found.visit), expected, strict=True):
            assert_allclose(one, other, rtol=1e-4, atol=1e-7)


def test_sources_merge_as_whole_arrays_do(shop: Shop, histories: Sequence[History]) -> None:
    for history in histories:
        sourced = all_sources(shop.model.parts, history, SETTINGS.candidates)
        found, expected = merge(sourced), plain.merge(sourced)
        assert_array_equal(found.item, expected.item)
        assert_array_equal(found.source, expected.source)
        assert_array_equal(found.rank, expected.rank)
        assert_array_equal(found.score, expected.score)


def test_what_follows_is_what_lists_and_groups_say_together(shop: Shop, histories: Sequence[History]) -> None:
    parts = shop.model.parts
    for history in histories:
        anchors = history.item[:20]
        weights = floats(0.85 ** np.arange(len(anchors)) * (history.interest[:20] > 0))
        leaning = leanings(parts.moves, history)
        of_item = (leaning.account + leaning.visit)[parts.moves.group]
        groups = np.argsort(-(leaning.account + leaning.visit), kind="stable")[:20]
        scores = floats(of_item * parts.snapshot.features[:, -1] * np.isin(parts.moves.group, groups))
        order = np.argsort(-scores, kind="stable")[:50]
        found = [
            plain.best(parts.together, anchors, weights, 50),
            plain.best(parts.then, anchors, weights, 50),
            plain.best(parts.moves.next, anchors[:1], weights[:1], 50),
            (order[scores[order] > 0].astype(np.int32), scores[order[scores[order] > 0]]),
        ]
        items, sums = plain.united(found, 50)
        followed = following(parts, history, 50)
        assert_array_equal(followed.item, items)
        assert_allclose(followed.score, sums, rtol=1e-5)


def test_the_best_of_lists_are_those_of_whole_arrays(shop: Shop, histories: Sequence[History]) -> None:
    lists = shop.model.parts.together
    for history in histories:
        weights = history.interest[:20]
        items, sums = lists.best(history.item[:20], weights, 30)
        expected, expected_sums = plain.best(lists, history.item[:20], weights, 30)
        assert_array_equal(items, expected)
        assert_array_equal(sums, expected_sums)


@given(_SCORES, st.integers(0, 20))
def test_the_best_are_those_of_a_stable_sort(scores: Sequence[float], count: int) -> None:
    values, codes = floats(scores), np.arange(len(scores), dtype=np.int32)[::-1].copy()
    order = np.lexsort((codes, -values))
    order = order[values[order] > 0][:count]
    items, found = best_of(codes, values, count)
    assert_array_equal(items, codes[order])
    assert_array_equal(found, values[order])
    positive = np.abs(values)
    assert_array_equal(best_places(positive, count), np.argsort(-positive, kind="stable")[:count])


@given(st.sets(st.integers(0, 2**31 - 1)), st.lists(st.integers(0, 2**31 - 1)))
def test_places_among_codes(among: set[int], looked_for: Sequence[int]) -> None:
    codes = np.array([*among], np.int32)
    wanted: Codes = np.array([*looked_for, *sorted(among)], np.int32)
    known = {code: place for place, code in enumerate(codes.tolist())}
    assert lookup.places(wanted, codes).tolist() == [known.get(one, NONE) for one in wanted.tolist()]
