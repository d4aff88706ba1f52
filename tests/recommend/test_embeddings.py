"""Folding in is one step of the library's own least squares."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix

from recommend.arrays import floats
from recommend.embeddings import EmbeddingSettings, fit_embeddings, interest_matrix
from tests.recommend.conftest import Shop


def test_folding_in_gives_what_the_library_gives(shop: Shop) -> None:
    settings = EmbeddingSettings(factors=16, iterations=5)
    embeddings = fit_embeddings(shop.actions, settings, threads=1)
    matrix = interest_matrix(shop.actions)
    library = AlternatingLeastSquares(factors=16, regularization=settings.regularization, alpha=1.0, num_threads=1)
    library.item_factors = embeddings.item_factors
    library.user_factors = np.zeros((matrix.shape[0], 16), np.float32)
    for account in range(0, matrix.shape[0], 61):
        row = csr_matrix(matrix[account])
        confident = csr_matrix((1 + settings.alpha * row.data, row.indices, row.indptr), row.shape)
        expected = library.recalculate_user(0, confident)
        vector = embeddings.fold_in(row.indices, row.data)
        assert_allclose(vector, expected, rtol=2e-2, atol=2e-3)


def test_what_an_account_dealt_with_scores_above_the_rest(shop: Shop) -> None:
    embeddings = shop.model.parts.embeddings
    matrix = interest_matrix(shop.split.known)
    better = 0
    for account in range(100):
        row = csr_matrix(matrix[account])
        scores = embeddings.item_factors @ embeddings.fold_in(row.indices, row.data)
        better += scores[row.indices].mean() > np.delete(scores, row.indices).mean()
    assert better == 100


def test_nobody_and_items_without_actions_are_zero(shop: Shop) -> None:
    embeddings = shop.model.parts.embeddings
    assert not embeddings.fold_in(np.zeros(0, np.int32), np.zeros(0, np.float32)).any()
    never = np.bincount(shop.split.known.item, minlength=len(shop.items)) == 0
    assert never.any()
    assert not embeddings.item_factors[never].any()
    assert floats(embeddings.item_factors[~never]).any(axis=1).all()
