"""The items nearest to a vector: looked at one by one in a small catalog, by an inverted file in a large one.

The inverted file is FAISS's: vectors of one byte a dimension in lists by their nearest centre, of which a search
looks through a few. What is found is sorted again by the exact product.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np

from domain.errors import TransientError
from recommend.arrays import Codes, Floats, floats
from recommend.best import best_of

EXACT_UP_TO = 20_000
"""Items up to which looking at every one takes less than half a millisecond."""
_SEARCHED = 2.0
"""Lists that a search looks through, by the square root of all: 126 of the 4,000 of a million items."""
_TRAINED_ON = 64
"""Vectors for each centre."""
_WIDER = 1.5
"""So many times what was asked for is taken from the lists, to be sorted by the exact product."""


class LackingIndexError(TransientError):
    """The index could not be read; the next model brings another."""


class NearestItems(Protocol):
    def search(self, vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:
        """Codes and products of those with the highest product with `vector`, best first, those above 0 alone.

        Raises:
            LackingIndexError: there is no index to search in.

        """


class Exact:
    def search(self, vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:
        products = vectors @ vector
        return best_of(np.arange(len(products), dtype=np.int32), products, count)


class LackingIndex:
    def search(self, vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:  # noqa: ARG002
        raise LackingIndexError("the model's index of vectors could not be read")


class InvertedFile:
    def __init__(self, index: Any) -> None:
        self._index = index
        self._index.nprobe = max(1, round(_SEARCHED * index.nlist**0.5))

    @staticmethod
    def build(vectors: Floats, threads: int) -> "InvertedFile":
        size, dimensions = vectors.shape
        centres = max(1, min(round(4 * size**0.5), size // 40))
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dimensions),
            dimensions,
            centres,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
        )
        index.cp.max_points_per_centroid = _TRAINED_ON
        with _threads(threads):
            index.train(vectors)
            index.add(vectors)
        return InvertedFile(index)

    @staticmethod
    def from_file(path: Path) -> "InvertedFile":
        """Maps the lists: they are read as they are searched, and shared by the processes of a machine."""
        return InvertedFile(faiss.read_index(str(path), faiss.IO_FLAG_MMAP))

    def to_file(self, path: Path) -> None:
        faiss.write_index(self._index, str(path))

    def search(self, vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:
        _, found = self._index.search(floats(vector)[None], round(_WIDER * count))
        codes = found[0][found[0] >= 0].astype(np.int32)
        return best_of(codes, floats(vectors[codes]) @ vector, count)


def nearest_items(vectors: Floats, threads: int) -> NearestItems:
    return Exact() if len(vectors) <= EXACT_UP_TO else InvertedFile.build(vectors, threads)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """FAISS has one number for the whole process."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
