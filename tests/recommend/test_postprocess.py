"""Freshness, diversity and caps, on numbers and by their laws."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from domain.actions import Hidden
from recommend.arrays import DAY_US, Codes, Floats, floats
from recommend.postprocess import diverse, fresh, unwanted
from recommend.rules import Rules

_PLAIN = Rules(diversity=0, share_of_category=1)
_NOW_US = 1_000 * DAY_US


def test_what_is_new_is_raised_by_half_of_it_after_its_half_life() -> None:
    rules = Rules(freshness=0.2, freshness_half_life_days=7)
    created = np.array([_NOW_US, _NOW_US - 7 * DAY_US, _NOW_US - 700 * DAY_US, 0, _NOW_US + DAY_US])
    assert_allclose(fresh(np.ones(5, np.float32), created, _NOW_US, rules), [1.2, 1.1, 1, 1, 1.2], rtol=1e-5)


def chosen(scores: Floats, vectors: Floats, category: Codes, count: int, rules: Rules) -> list[int]:
    codes = np.arange(len(scores), dtype=np.int32)
    return [int(one) for one in diverse(scores, vectors, codes, category, count, rules)]


def test_of_two_that_are_alike_the_second_waits() -> None:
    scores = floats([0.9, 0.8, 0.5])
    vectors = floats([[1, 0], [1, 0], [0, 1]])
    category = np.array([0, 1, 2], np.int32)
    assert chosen(scores, vectors, category, 3, _PLAIN) == [0, 1, 2]
    assert chosen(scores, vectors, category, 3, replace(_PLAIN, diversity=0.5)) == [0, 2, 1]


def test_a_category_has_at_most_its_share_while_others_are_left() -> None:
    scores = floats([0.9, 0.8, 0.7, 0.6, 0.1, 0.05])
    category = np.array([0, 0, 0, 0, 1, -1], np.int32)
    half = replace(_PLAIN, share_of_category=0.5)
    assert chosen(scores, np.zeros((6, 2), np.float32), category, 4, half) == [0, 1, 4, 5]
    assert chosen(scores, np.zeros((6, 2), np.float32), category, 6, half) == [0, 1, 2, 4, 5, 3]


def test_items_without_a_category_are_never_too_many() -> None:
    scores = floats([0.9, 0.8, 0.7, 0.1])
    category = np.array([-1, -1, -1, 2], np.int32)
    half = replace(_PLAIN, share_of_category=0.34)
    assert chosen(scores, np.zeros((4, 2), np.float32), category, 3, half) == [0, 1, 2]


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(-1, 3), st.integers(0, 5)), max_size=40),
    st.integers(1, 30),
    st.floats(0, 1),
    st.floats(0.05, 1),
)
def test_as_many_as_asked_for_and_none_twice(
    rows: list[tuple[float, int, int]], count: int, diversity: float, share: float
) -> None:
    scores = floats([score for score, _, _ in rows])
    category = np.array([one for _, one, _ in rows], np.int32)
    vectors = np.eye(6, dtype=np.float32)[[one for _, _, one in rows]].reshape(-1, 6)
    rules = replace(_PLAIN, diversity=diversity, share_of_category=share)
    found = chosen(scores, vectors, category, count, rules)
    assert len(found) == len(set(found)) == min(count, len(rows))
    if rows:
        assert scores[found[0]] == scores.max()
    plain = chosen(scores, vectors, category, count, _PLAIN)
    assert_allclose(scores[plain], np.sort(scores)[::-1][:count])


def test_what_is_not_to_be_shown() -> None:
    hidden = Hidden(frozenset("a"), frozenset("b"), frozenset("c"), frozenset("d"))
    assert unwanted(hidden, Rules(blocked=frozenset("x"))) == set("abcdx")
    assert unwanted(hidden, Rules(exclude_bought=False)) == set("abc")
