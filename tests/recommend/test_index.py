"""The graph finds what looking at every item finds."""

from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from recommend.arrays import Floats, floats
from recommend.index import Exact, Graph


def vectors(count: int, seed: int = 0) -> Floats:
    """Like item factors: about tastes, of lengths that differ by far."""
    random = np.random.default_rng(seed)
    tastes = random.normal(size=(40, 32))
    near = tastes[random.integers(40, size=count)] + 0.5 * random.normal(size=(count, 32))
    return floats(near * random.lognormal(0, 0.7, (count, 1)))


def test_exact_is_sorted_and_holds_only_what_is_above_zero() -> None:
    items = floats([[1, 0], [3, 0], [-1, 0], [2, 1]])
    codes, products = Exact().search(items, floats([1, 0]), 3)
    assert codes.tolist() == [1, 3, 0]
    assert products.tolist() == [3, 2, 1]
    assert Exact().search(items, floats([1, 0]), 99)[0].tolist() == [1, 3, 0]


def test_the_graph_finds_nearly_all_of_the_highest_products_whatever_their_lengths() -> None:
    items = vectors(6_000)
    graph = Graph.build(items, threads=1)
    found = 0
    for query in vectors(50, seed=1):
        expected, products = Exact().search(items, query, 100)
        codes, same = graph.search(items, query, 100)
        found += len(np.intersect1d(expected, codes))
        assert (np.diff(same) <= 0).all()
        assert_allclose(same[:1], products[:1], rtol=1e-5)
    assert found / 5_000 >= 0.97


def test_a_graph_viewed_from_its_file_finds_the_same(tmp_path: Path) -> None:
    items = vectors(2_000)
    graph = Graph.build(items, threads=1)
    graph.index.save(tmp_path / "graph")
    viewed = Graph.view(tmp_path / "graph")
    for query in vectors(5, seed=2):
        assert_array_equal(graph.search(items, query, 50)[0], viewed.search(items, query, 50)[0])


def test_a_vector_without_direction_is_near_to_nothing() -> None:
    items = vectors(100)
    assert len(Graph.build(items, threads=1).search(items, np.zeros(32, np.float32), 5)[0]) == 0
