"""Why an item is recommended, in terms of what the account did."""

from collections.abc import Sequence

import numpy as np

from recommend.answer import Reason
from recommend.arrays import Codes, floats
from recommend.candidates import Source
from recommend.history import History
from recommend.model import Model

_ANCHORS = 20


def reasons(model: Model, history: History, items: Codes, sources: Sequence[Source]) -> Sequence[Reason]:
    """By the account's item that leads to each most strongly; without any, by the source that found it."""
    parts = model.parts
    anchors = history.item[:_ANCHORS][history.interest[:_ANCHORS] > 0]
    bought = history.bought[:_ANCHORS][history.interest[:_ANCHORS] > 0]
    if not len(anchors) or not len(items):
        return [_of_source(model, int(item), source) for item, source in zip(items, sources, strict=True)]
    block = sum(
        (one / max(float(one.max()), 1e-9))
        for one in (
            parts.together.block(anchors, items),
            parts.then.block(anchors, items),
            0.5
            * (floats(parts.content.item_vectors[anchors]) @ floats(parts.content.item_vectors[items]).T).clip(min=0),
        )
    )
    block = np.where(anchors[:, None] == items[None], 0, block)
    strongest = block.argmax(axis=0)
    return [
        Reason("bought" if bought[row] else "viewed", parts.items.item_ids[anchors[row]])
        if source in ("collaborative", "next", "content") and block[row, column] > 0
        else _of_source(model, int(items[column]), source)
        for column, (row, source) in enumerate(zip(strongest.tolist(), sources, strict=True))
    ]


def _of_source(model: Model, item: int, source: Source) -> Reason:
    if source == "trending":
        return Reason("trending")
    category = int(model.parts.items.category[item])
    if category < 0:
        return Reason("popular")
    return Reason("popular_in_category", category=model.parts.items.category_names[category])
