"""The items nearest to a vector: looked at one by one in a small catalog, found by a graph in a large one.

A large one is USearch's HNSW graph over vectors of one byte a dimension, viewed from its file; what it finds is
sorted again by the exact product. Inner products are searched as cosines: vectors get one more dimension, which
brings all of them to one length (Bachrach et al. 2014).
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from usearch.index import Index

from recommend.arrays import Codes, Floats, floats

EXACT_UP_TO = 50_000
"""Items up to which looking at every one takes under a millisecond."""
_CONNECTIVITY = 16
_EXPANSION_ADD = 96
_EXPANSION_SEARCH = 256
_WIDER = 2
"""So many times what was asked for is taken from the graph, to be sorted by the exact product."""


class NearestItems(Protocol):
    def search(self, vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:
        """Codes and products of those with the highest product with `vector`, best first, those above 0 alone."""


class Exact:
    def search(self, vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:
        products = vectors @ vector
        best = np.argpartition(-products, count - 1)[:count] if count < len(products) else np.arange(len(products))
        return _sorted(best.astype(np.int32), products[best])


class Graph:
    def __init__(self, index: Index) -> None:
        self.index = index

    @staticmethod
    def build(vectors: Floats, threads: int) -> "Graph":
        index = Index(
            ndim=vectors.shape[1] + 1,
            metric="cos",
            dtype="i8",
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
            expansion_search=_EXPANSION_SEARCH,
            enable_key_lookups=False,
        )
        index.add(np.arange(len(vectors)), _of_one_length(vectors), threads=threads)
        return Graph(index)

    @staticmethod
    def view(path: Path) -> "Graph":
        index = Index.restore(path, view=True, enable_key_lookups=False, expansion_search=_EXPANSION_SEARCH)
        if index is None:
            raise OSError(f"{path}: not an index")
        return Graph(index)

    def search(self, vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:
        length = np.linalg.norm(vector)
        if length == 0:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        found = self.index.search(floats(np.append(vector / length, 0)), _WIDER * count, threads=1)
        codes = np.asarray(found.keys, np.int64).astype(np.int32)
        codes, products = _sorted(codes, floats(vectors[codes]) @ vector)
        return codes[:count], products[:count]


def nearest_items(vectors: Floats, threads: int) -> NearestItems:
    return Exact() if len(vectors) <= EXACT_UP_TO else Graph.build(vectors, threads)


def _of_one_length(vectors: Floats) -> Floats:
    """With the dimension added that brings each to the length of the longest, then all to 1."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    longest = max(float(squares.max(initial=0)), 1e-9)
    missing = np.sqrt(np.maximum(longest - squares, 0))
    return floats(np.column_stack([vectors, missing]) / np.sqrt(longest))


def _sorted(codes: Codes, products: Floats) -> tuple[Codes, Floats]:
    order = np.argsort(-products, kind="stable")
    order = order[products[order] > 0]
    return codes[order], floats(products[order])
