"""How well a recommender does on what was kept from it.

Two splits: the last new item of each account is kept back and everything of that account from it on (the usual
protocol of papers), or everything from one moment on (what a shop lives through). What is asked is the same: of all
items that the account has not dealt with yet, how high does the one stand that it dealt with next?
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommend.actions import ActionTable
from recommend.arrays import Flags, Floats, Places, floats
from recommend.questions import is_first_with_item, is_new_interest, known_items

_TOP = 10


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    known: ActionTable
    """What training may see."""
    places: Places
    """In the whole table: the actions to be foretold; what the account did before each is its history."""


def last_new_items(actions: ActionTable) -> Split:
    """Keeps back each account's last interest in an item that is new to it, and all that it did after."""
    places = np.flatnonzero(_is_new_to_account(actions))
    last = np.full(len(actions.account_ids), len(actions))
    last[actions.account[places]] = places
    known = actions.only(np.arange(len(actions)) < last[actions.account])
    return Split(known, last[last < len(actions)])


def after(actions: ActionTable, moment_us: int) -> Split:
    """Keeps back everything from the moment on; asks for each account's first new item since."""
    places = np.flatnonzero(_is_new_to_account(actions) & (actions.at_us >= moment_us))
    _, first = np.unique(actions.account[places], return_index=True)
    return Split(actions.before(moment_us), places[first])


def every_new_after(actions: ActionTable, moment_us: int) -> Places:
    """Each account's interests from the moment on in items that were new to it then: a visit's later ones too."""
    return np.flatnonzero(_is_new_to_account(actions) & (actions.at_us >= moment_us))


def _is_new_to_account(actions: ActionTable) -> Flags:
    return is_new_interest(actions) & is_first_with_item(actions)


@dataclass(frozen=True, slots=True)
class Quality:
    hit_rate: float
    """Share of questions whose item stands among the first ten."""
    ndcg: float
    """Normalised discounted cumulative gain at ten; with one right item it is 1 / log2(its rank + 1)."""
    auc: float
    """Share of the other items that the right one stands above, mean of the questions."""
    coverage: float
    """Share of all items that stand among the first ten of any question."""
    gains: Floats = field(repr=False, compare=False)
    """Of each question, in their order; their mean is `ndcg`."""


def evaluate(actions: ActionTable, places: Places, score: Callable[[Places], Floats], at_once: int = 256) -> Quality:
    """`score` gives each item of each question a score. Of equal scores half are taken to stand above."""
    ranks: list[float] = []
    others: list[int] = []
    shown: set[int] = set()
    for start in range(0, len(places), at_once):
        batch = places[start : start + at_once]
        for place, scores in zip(batch.tolist(), score(batch), strict=True):
            rank, count, best = _judged(actions, place, scores.astype(np.float64))
            ranks.append(rank)
            others.append(count)
            shown.update(best)
    rank_array = np.asarray(ranks)
    gains = _gains(rank_array, _TOP)
    return Quality(
        float((rank_array < _TOP).mean()),
        float(gains.mean()),
        float((1 - rank_array / np.maximum(others, 1)).mean()),
        len(shown) / len(actions.item_ids),
        floats(gains),
    )


def ndcg(ranks: NDArray[np.float64], top: int = _TOP) -> float:
    """Of questions with one right item each, from its rank, counted from 0."""
    return float(_gains(ranks, top).mean())


def _gains(ranks: NDArray[np.float64], top: int) -> NDArray[np.float64]:
    gains: NDArray[np.float64] = np.where(ranks < top, 1 / np.log2(ranks + 2), 0)
    return gains


def _judged(actions: ActionTable, place: int, scores: NDArray[np.float64]) -> tuple[float, int, list[int]]:
    """The right item's rank from 0, how many others there are, and the best ten."""
    target = actions.item[place]
    known = known_items(actions, place)
    scores[known[known != target]] = np.nan
    rank = (scores > scores[target]).sum() + ((scores == scores[target]).sum() - 1) / 2
    usable = np.where(np.isfinite(scores), scores, -np.inf)
    best = np.argpartition(-usable, min(_TOP, len(usable) - 1))[:_TOP]
    return float(rank), int((~np.isnan(scores)).sum()) - 1, best[np.isfinite(usable[best])].tolist()
