"""New items get a share of the places, so that something can become known of them."""

import zlib
from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np

from recommend.answer import Reason, Recommended, Request
from recommend.arrays import HOUR_US, NONE, floats
from recommend.best import best_places
from recommend.history import History
from recommend.model import Model
from recommend.shelf import NewItems

_CHANCE = 0.3
"""How much chance has against likeness: the width of what is added to a cosine."""


def new_items(
    model: Model,
    request: Request,
    history: History,
    new: NewItems,
    unwanted: Collection[str],
    count: int,
    now_us: int,
) -> Sequence[Recommended]:
    """At most `count` of the new items, those most like what the account deals with, by luck among equals.

    An account's luck changes by the hour and not from one answer to the next.
    """
    if not new.item_ids or count <= 0:
        return []
    keep = np.ones(len(new.item_ids), np.bool_)
    if request.in_stock:
        keep &= new.in_stock
    if request.category is not None:
        keep &= new.category == model.category_codes.get(request.category, NONE - 1)
    profile = model.parts.content.profile(history.item[:20], history.interest[:20])
    likeness = (new.vectors @ profile).clip(0, 1)
    luck = np.random.default_rng(zlib.crc32(f"{request.account_id} {now_us // HOUR_US}".encode()))
    value = floats(np.where(keep, likeness + _CHANCE * luck.random(len(likeness)), 0))
    most = min(count + len(unwanted) + 1, int(keep.sum()))
    best_first = best_places(value, most).tolist()
    wanted = (
        place for place in best_first if (one := new.item_ids[place]) not in unwanted and one != request.item_id
    )
    return [
        Recommended(new.item_ids[place], float(likeness[place]), "new", Reason("new"))
        for place in islice(wanted, count)
    ]


def woven(ranked: Sequence[Recommended], new: Sequence[Recommended], limit: int, share: float) -> list[Recommended]:
    """The ranked ones, every so often a new one between them, never at the first place; at most `limit` in all.

    An item that is among both keeps its rank.
    """
    known = {one.item_id for one in ranked[:limit]}
    left = iter([one for one in new if one.item_id not in known])
    every = round(1 / share) if share > 0 else limit + 1
    answer: list[Recommended] = []
    for one in ranked:
        if len(answer) % every == every - 1:
            answer += [explored for explored in [next(left, None)] if explored]
        answer.append(one)
    return (answer + list(left))[:limit] if len(ranked) < limit and share > 0 else answer[:limit]
