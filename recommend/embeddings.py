"""Collaborative embeddings: alternating least squares on implicit feedback (Hu, Koren, Volinsky 2008)."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommend.actions import ActionTable
from recommend.arrays import Codes, Floats, floats


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    factors: int = 64
    regularization: float = 0.05
    alpha: float = 10.0
    """Confidence of an action is 1 + alpha times its interest."""
    iterations: int = 12


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    item_factors: Floats
    """Item by factor; zeros for items without actions."""
    gram: Floats
    """Factor by factor: the item factors' products, with the regularization on the diagonal."""
    alpha: float
    inverse: NDArray[np.float64] = field(init=False)
    """Of `gram`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inverse", np.linalg.inv(self.gram.astype(np.float64)))

    def fold_in(self, items: Codes, interest: Floats) -> Floats:
        """The account's vector from its items: one step of the least squares that made the item factors."""
        factors, weight = self.item_factors[items].astype(np.float64), self.alpha * interest
        if len(items) > len(self.gram):
            left = self.gram + factors.T @ (factors * weight[:, None])
            return floats(np.linalg.solve(left, factors.T @ (1 + weight)))
        # (G + F'DF) x = F'(1 + d) with x = G⁻¹F'y are as many equations as there are items, and not as there are
        # factors: (1 + D FG⁻¹F') y = 1 + d, for d = alpha times interest and D its diagonal matrix.
        by_item = factors @ self.inverse
        left = (by_item @ factors.T) * weight[:, None]
        left.flat[:: len(items) + 1] += 1
        return floats(np.linalg.solve(left, 1 + weight) @ by_item)


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Where an item leads, in few dimensions: what `neighbours.fit_then` counts, smoothed."""

    leading: Floats
    """Item by factor."""
    following: Floats
    """Item by factor: its product with `leading` of another is high when it often comes after that one."""


def fit_transitions(moves: "csr_matrix[np.float32]", settings: EmbeddingSettings, threads: int) -> Transitions:
    als = _fitted(moves, settings, threads)
    return Transitions(np.asarray(als.user_factors, np.float32), np.asarray(als.item_factors, np.float32))


def interest_matrix(actions: ActionTable) -> "csr_matrix[np.float32]":
    """Account by item: the sum of the interest of the actions, at least a trace for each pair."""
    shape = (len(actions.account_ids), len(actions.item_ids))
    values = actions.kinds.interest[actions.kind]
    matter = values > 0
    matrix = csr_matrix((values[matter], (actions.account[matter], actions.item[matter])), shape)
    matrix.sum_duplicates()
    return matrix


def fit_embeddings(actions: ActionTable, settings: EmbeddingSettings, threads: int) -> Embeddings:
    matrix = interest_matrix(actions)
    factors = np.asarray(_fitted(matrix, settings, threads).item_factors, np.float32)
    factors[np.bincount(matrix.indices, minlength=len(factors)) == 0] = 0
    gram = factors.T @ factors + settings.regularization * np.eye(settings.factors, dtype=np.float32)
    return Embeddings(factors, gram.astype(np.float32), settings.alpha)


def _fitted(matrix: "csr_matrix[np.float32]", settings: EmbeddingSettings, threads: int) -> Any:
    confidence = matrix.copy()
    confidence.data = 1 + settings.alpha * confidence.data
    # The library has threads of its own; those of BLAS under them would make it ten times slower.
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(
            factors=settings.factors,
            regularization=settings.regularization,
            alpha=1.0,
            iterations=settings.iterations,
            num_threads=threads,
            random_state=0,
        )
        als.fit(confidence, show_progress=False)
    return als
