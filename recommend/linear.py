"""The linear item-to-item model in closed form, EASE (Steck 2019): the strongest of the cheap ones in small catalogs.

Every item has a weight to every other, so it is fitted up to `MOST_ITEMS` alone, where it takes a second and 16 MB;
beyond that it takes no part.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import inv
from scipy.sparse import csr_matrix

from recommend.actions import ActionTable
from recommend.arrays import Codes, Floats, floats

MOST_ITEMS = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    weights: Floats
    """Item of the account by candidate; without rows in a catalog that is too large."""

    def block(self, anchors: Codes, items: Codes) -> Floats:
        """Anchor by item."""
        if not len(self.weights):
            return np.zeros((len(anchors), len(items)), np.float32)
        return floats(self.weights[np.ix_(anchors, items)])


def fit_linear(actions: ActionTable, regularization: float) -> Linear:
    if not 0 < len(actions.item_ids) <= MOST_ITEMS:
        return Linear(np.zeros((0, 0), np.float32))
    return Linear(linear_weights(pairs(actions), regularization))


def linear_weights(matrix: "csr_matrix[np.float32]", regularization: float) -> Floats:
    """Of account by item: without likeness of an item to itself."""
    gram = np.asarray((matrix.T @ matrix).todense(), np.float32)
    gram[np.diag_indices_from(gram)] += regularization
    inverse = floats(inv(gram, overwrite_a=True, check_finite=False, assume_a="pos"))
    weights = floats(inverse / -np.diag(inverse))
    weights[np.diag_indices_from(weights)] = 0
    return weights


def pairs(actions: ActionTable) -> "csr_matrix[np.float32]":
    """Account by item: 1 where the account dealt with the item."""
    kept = actions.only(actions.kinds.interest[actions.kind] > 0)
    shape = (len(kept.account_ids), len(kept.item_ids))
    matrix = csr_matrix((np.ones(len(kept), np.float32), (kept.account, kept.item)), shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
