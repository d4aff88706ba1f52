"""Content embeddings: TF-IDF of an item's words, reduced by truncated SVD (latent semantic analysis).

Words are hashed, so that nothing has to be kept but arrays, and an item that came after training gets a vector too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags_array
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer

from recommend.arrays import Codes, Floats, floats
from recommend.catalog import ItemTable

_WORDS = 2**16


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    item_vectors: Floats
    """Item by dimension, of length 1; zeros for an item without a word."""
    rarity: Floats
    """Of each word's hash: its inverse document frequency."""
    directions: Floats
    """Word's hash by dimension."""

    def vectors_of(self, texts: Sequence[str]) -> Floats:
        """Text by dimension, of length 1, also for texts that training never saw."""
        return _unit(floats(_weighed(texts, self.rarity) @ self.directions))

    def profile(self, items: Codes, weights: Floats) -> Floats:
        """The direction of what an account deals with; zeros without items."""
        summed = weights @ floats(self.item_vectors[items])
        return floats(summed / max(sqrt(summed @ summed), 1e-9))


def fit_content(items: ItemTable, dimensions: int) -> Content:
    counted = _words(items.text)
    frequency = np.bincount(counted.indices, minlength=_WORDS)
    rarity = (np.log((1 + len(items)) / (1 + frequency)) + 1).astype(np.float32)
    weighed = _weighed(items.text, rarity)
    used = int((frequency > 0).sum())
    dimensions = min(dimensions, max(used - 1, 0), max(len(items) - 1, 0))
    directions = np.zeros((_WORDS, max(dimensions, 1)), np.float32)
    if dimensions:
        svd: Any = TruncatedSVD(dimensions, random_state=0)
        svd.fit(weighed)
        directions = np.ascontiguousarray(svd.components_.T, np.float32)
    return Content(_unit(weighed @ directions), rarity, directions)


def _words(texts: Sequence[str]) -> "csr_matrix[np.float32]":
    if not texts:
        return csr_matrix(np.zeros((0, _WORDS), np.float32))
    hashing: Any = HashingVectorizer(n_features=_WORDS, alternate_sign=False, norm=None, dtype=np.float32)
    return csr_matrix(hashing.transform(texts))


def _weighed(texts: Sequence[str], rarity: Floats) -> "csr_matrix[np.float32]":
    return csr_matrix(_words(texts) @ diags_array(rarity))


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return floats(vectors / np.maximum(lengths, 1e-9))
