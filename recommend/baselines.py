"""The strongest cheap recommenders, to be measured beside ours: each scores all items for a batch of accounts.

Every one is tuned: the best of its grid on a validation split, then fitted again on everything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix

from recommend.actions import ActionTable
from recommend.arrays import DAY_US, Codes, Floats, Places
from recommend.embeddings import EmbeddingSettings, fit_embeddings
from recommend.evaluation import evaluate, last_new_items
from recommend.linear import linear_weights, pairs
from recommend.neighbours import Lists, cosine_lists
from recommend.questions import known_items

Scorer = Callable[[Sequence[Codes]], Floats]
"""From accounts' items, distinct and newest first, to scores: account by item."""
_LAST = 10
_MOST_NEIGHBOURS = 1_000
_VALIDATED = 2_000
"""Questions that a variant is judged by."""


@dataclass(frozen=True, slots=True)
class Baseline:
    name: str
    variants: Sequence[Mapping[str, float]]
    fit: Callable[..., Scorer]
    """Of actions and one of the variants."""


def popularity(actions: ActionTable, *, half_life_days: float) -> Scorer:
    age_days = (actions.at_us.max() - actions.at_us) / DAY_US
    positive = actions.kinds.interest[actions.kind] > 0
    scores = np.bincount(actions.item, positive * 0.5 ** (age_days / half_life_days), len(actions.item_ids))
    return lambda histories: np.tile(scores.astype(np.float32), (len(histories), 1))


def item_knn(actions: ActionTable, *, neighbours: float, shrink: float) -> Scorer:
    """Cosine of items, shrunk towards 0 where few accounts have both; summed over all of an account's items."""
    lists = _nearest(actions, int(neighbours), shrink)
    return lambda histories: _summed(lists, histories, lambda count: np.ones(count, np.float32))


def item_knn_last(actions: ActionTable, *, neighbours: float, shrink: float, decay: float) -> Scorer:
    """The same, summed over the account's last ten items, the newest of which counts most."""
    lists = _nearest(actions, int(neighbours), shrink)
    weights = decay ** np.arange(_LAST, dtype=np.float32)
    return lambda histories: _summed(lists, [one[:_LAST] for one in histories], lambda count: weights[:count])


def _nearest(actions: ActionTable, neighbours: int, shrink: float) -> Lists:
    lists = _most_nearest(actions, shrink)
    return Lists(lists.item[:, :neighbours], lists.score[:, :neighbours])


@lru_cache(maxsize=4)
def _most_nearest(actions: ActionTable, shrink: float) -> Lists:
    """Once for all variants that differ in what they make of the lists."""
    return cosine_lists(pairs(actions), _MOST_NEIGHBOURS, shrink)


def ease(actions: ActionTable, *, regularization: float) -> Scorer:
    """Steck 2019: the linear item-to-item model without self-likeness, in closed form."""
    weights = linear_weights(pairs(actions), regularization)
    return lambda histories: np.asarray(_rows(histories, len(weights)) @ weights, np.float32)


def als(actions: ActionTable, *, factors: float, regularization: float, alpha: float) -> Scorer:
    settings = EmbeddingSettings(int(factors), regularization, alpha, 15)
    embeddings = fit_embeddings(actions, settings, threads=2)

    def score(histories: Sequence[Codes]) -> Floats:
        ones = [embeddings.fold_in(items, np.ones(len(items), np.float32)) for items in histories]
        return np.stack(ones) @ embeddings.item_factors.T

    return score


def _grid(**values: Sequence[float]) -> Sequence[Mapping[str, float]]:
    names = list(values)
    combined: list[dict[str, float]] = [{}]
    for name in names:
        combined = [{**one, name: value} for one in combined for value in values[name]]
    return combined


BASELINES: Sequence[Baseline] = (
    Baseline("popularity", _grid(half_life_days=(1, 7, 30, 100_000)), popularity),
    Baseline("item-kNN", _grid(neighbours=(50, 200, 1_000), shrink=(0, 10, 100)), item_knn),
    Baseline(
        "item-kNN, last ten with decay",
        _grid(neighbours=(50, 200, 1_000), shrink=(0, 10, 100), decay=(0.6, 0.8, 0.9)),
        item_knn_last,
    ),
    Baseline("EASE", _grid(regularization=(50, 200, 800)), ease),
    Baseline("ALS", _grid(factors=(64, 128), regularization=(0.05,), alpha=(1, 10, 40)), als),
)


def tuned(
    baseline: Baseline, actions: ActionTable, variants: Sequence[Mapping[str, float]] | None = None
) -> tuple[Mapping[str, float], Scorer]:
    """The variant that does best by NDCG on the last new item of accounts, and its scorer, fitted on all actions."""
    split = last_new_items(actions)
    places = np.random.default_rng(0).permutation(split.places)[:_VALIDATED]
    best, best_ndcg = None, -1.0
    for variant in variants or baseline.variants:
        found = evaluate(actions, places, asking(baseline.fit(split.known, **variant), actions)).ndcg
        if found > best_ndcg:
            best, best_ndcg = variant, found
    if best is None:
        raise ValueError("no variants to choose from")
    return best, baseline.fit(actions, **best)


def asking(scorer: Scorer, actions: ActionTable) -> Callable[[Places], Floats]:
    """The scorer of questions by their places, as `evaluate` takes it."""
    return lambda places: scorer([known_items(actions, place) for place in places.tolist()])


def _rows(histories: Sequence[Codes], size: int) -> "csr_matrix[np.float32]":
    starts = np.cumsum([0, *map(len, histories)])
    items = np.concatenate(histories) if histories else np.zeros(0, np.int32)
    return csr_matrix((np.ones(len(items), np.float32), items, starts), (len(histories), size))


def _summed(lists: Lists, histories: Sequence[Codes], weights: Callable[[int], Floats]) -> Floats:
    scores = np.zeros((len(histories), len(lists.item)), np.float32)
    for row, items in enumerate(histories):
        near, value = lists.item[items], lists.score[items] * weights(len(items))[:, None]
        scores[row] = np.bincount(near[near >= 0], value[near >= 0], scores.shape[1])
    return scores
