"""Counts that are above what is expected, told from luck."""

import numpy as np

from recommend.arrays import floats
from recommend.excess import excess


def test_nothing_counted_is_nothing_above() -> None:
    assert len(excess(floats([]), floats([]))) == 0


def test_what_was_planted_is_found_and_what_is_luck_is_not() -> None:
    """Of 20,000 cells with an expected count each, a hundredth has 10 more; only counts above 0 are looked at."""
    random = np.random.default_rng(7)
    expected = random.lognormal(-2, 1, 20_000)
    planted = np.where(random.random(20_000) < 0.01, 10.0, 0.0)
    counted = random.poisson(expected + planted)
    seen = counted > 0
    found = excess(floats(counted[seen]), floats(expected[seen]))
    planted = planted[seen]
    assert found[planted > 0].mean() > 8
    assert found[planted == 0].mean() < 0.15


def test_one_sighting_of_a_rare_thing_says_more_than_one_of_a_common_thing() -> None:
    random = np.random.default_rng(3)
    expected = random.lognormal(-2, 1.5, 20_000)
    counted = random.poisson(expected + 3 * (random.random(20_000) < 0.02))
    seen = counted > 0
    once = excess(floats([*counted[seen], 1, 1, 1]), floats([*expected[seen], 0.02, 0.2, 1.0]))[-3:]
    assert once[0] > 3 * once[1] > 0
    assert once[2] < 0.01
