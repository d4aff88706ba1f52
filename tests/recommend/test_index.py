"""The inverted file finds what looking at every item finds."""

from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from recommend.arrays import Floats, floats
from recommend.index import Exact, InvertedFile

_TASTES = np.random.default_rng(9).normal(size=(40, 32))


def items(count: int) -> Floats:
    """Like item factors: about tastes, the longer the more popular an item is."""
    random = np.random.default_rng(0)
    near = _TASTES[random.integers(40, size=count)] + 0.4 * random.normal(size=(count, 32))
    return floats(near * random.lognormal(0, 0.5, (count, 1)))


def accounts(count: int) -> Floats:
    """Of two tastes each."""
    random = np.random.default_rng(1)
    return floats(_TASTES[random.integers(40, size=count)] + 0.6 * _TASTES[random.integers(40, size=count)])


def test_exact_is_sorted_and_holds_only_what_is_above_zero() -> None:
    vectors = floats([[1, 0], [3, 0], [-1, 0], [2, 1]])
    codes, products = Exact().search(vectors, floats([1, 0]), 3)
    assert codes.tolist() == [1, 3, 0]
    assert products.tolist() == [3, 2, 1]
    assert Exact().search(vectors, floats([1, 0]), 99)[0].tolist() == [1, 3, 0]


def test_nearly_all_of_the_highest_products_are_found_whatever_the_lengths() -> None:
    vectors = items(8_000)
    lists = InvertedFile.build(vectors, threads=1)
    found = 0
    for query in accounts(50):
        expected, products = Exact().search(vectors, query, 100)
        codes, same = lists.search(vectors, query, 100)
        found += len(np.intersect1d(expected, codes))
        assert (np.diff(same) <= 0).all()
        assert_allclose(same[0], products[0], rtol=1e-5)
    assert found / 5_000 >= 0.95


def test_an_inverted_file_from_its_file_finds_the_same(tmp_path: Path) -> None:
    vectors = items(2_000)
    lists = InvertedFile.build(vectors, threads=1)
    lists.to_file(tmp_path / "lists")
    mapped = InvertedFile.from_file(tmp_path / "lists")
    for query in accounts(5):
        assert_array_equal(lists.search(vectors, query, 50)[0], mapped.search(vectors, query, 50)[0])


def test_a_vector_without_direction_is_near_to_nothing() -> None:
    vectors = items(100)
    assert len(InvertedFile.build(vectors, threads=1).search(vectors, np.zeros(32, np.float32), 5)[0]) == 0
