"""One answer: sources, ranking and post-processing, each callable on its own so that serving can leave one out.

history = known_history(model, request, signals, now_us)
sourced = {name: source() for name, source in sources(model, request, history, shelf).items()}  # in time budgets
candidates = shown(model, request, history, hidden, merge_for(model, request, sourced), rules, shelf)
scores = rank(model, request, history, candidates, now_us)  # or unranked(candidates)
items = arrange(model, history, candidates, scores, request.limit, now_us, rules)
items = explore(model, request, history, hidden, items, now_us, rules, shelf)
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from domain.actions import Action, Hidden
from recommend import candidates as find
from recommend.answer import Answer, Recommended, Request
from recommend.arrays import NONE, Floats
from recommend.candidates import Candidates, Source, Sourced, merge
from recommend.exploration import new_items, woven
from recommend.features import features
from recommend.history import History, history_of_signals, just_viewed
from recommend.model import LackingRankerError, Model
from recommend.postprocess import diverse, fresh, unwanted
from recommend.reasons import reasons
from recommend.rules import Rules
from recommend.shelf import Shelf, stocked


def recommend(
    model: Model,
    request: Request,
    signals: Sequence[Action],
    hidden: Hidden,
    now_us: int,
    rules: Rules | None = None,
    shelf: Shelf | None = None,
) -> Answer:
    """All steps in a row. `signals` are the account's, newest first."""
    rules = rules or Rules()
    shelf = shelf or stocked(model, (), now_us, rules)
    history = known_history(model, request, signals, now_us)
    sourced = {name: source() for name, source in sources(model, request, history, shelf).items()}
    candidates = shown(model, request, history, hidden, merge_for(model, request, sourced), rules, shelf)
    scores = rank(model, request, history, candidates, now_us)
    items = arrange(model, history, candidates, scores, request.limit, now_us, rules)
    return Answer(explore(model, request, history, hidden, items, now_us, rules, shelf), "ranked", model.version)


def known_history(model: Model, request: Request, signals: Sequence[Action], now_us: int) -> History:
    """What the model knows of the signals. Like an item means like it to anybody: the account's own taste would draw
    the answer away from it, so that one view of the item is all there is then.
    """
    if request.context == "homepage":
        return history_of_signals(signals, model.kinds, model.item_codes)
    anchor = model.item_codes.get(request.item_id) if request.item_id else None
    if anchor is None:
        return history_of_signals((), model.kinds, model.item_codes)
    return just_viewed(model.kinds, anchor, now_us)


def sources(model: Model, request: Request, history: History, shelf: Shelf) -> Mapping[Source, Callable[[], Sourced]]:
    """All sources, to be called in any order or side by side; similar items come only from what knows likeness."""
    parts, settings = model.parts, model.candidates
    preferred = _preferred(model, request)
    if request.context == "similar" and request.item_id not in model.item_codes:
        return {"content": partial(find.content_like, parts, shelf.new.vector(request.item_id), settings.content)}
    likeness: dict[Source, Callable[[], Sourced]] = {
        "collaborative": partial(find.collaborative, parts, history, settings.collaborative),
        "next": partial(find.following, parts, history, settings.next),
        "content": partial(find.content, parts, history, settings.content),
    }
    if request.context == "similar":
        return likeness
    return likeness | {
        "popular": partial(find.popular, parts, history, preferred, settings.popular),
        "trending": partial(find.trending, parts, settings.trending),
    }


def merge_for(model: Model, request: Request, sourced: Mapping[Source, Sourced]) -> Candidates:
    """Of a small catalog everything is a candidate for a homepage, whatever the sources found."""
    size = len(model.parts.items)
    is_whole = request.context == "homepage" and size <= model.candidates.small_catalog
    return merge(sourced, size if is_whole else None)


def shown(
    model: Model,
    request: Request,
    history: History,
    hidden: Hidden,
    candidates: Candidates,
    rules: Rules,
    shelf: Shelf,
) -> Candidates:
    """Without what may not be shown to this account, or was not asked for."""
    items = model.parts.items
    keep = shelf.is_active[candidates.item]
    ids = unwanted(hidden, rules) | request.exclude | ({request.item_id} if request.item_id else set())
    unwanted_codes = [code for code in map(model.item_codes.get, ids) if code is not None]
    keep &= ~np.isin(candidates.item, unwanted_codes)
    if request.exclude_seen or rules.exclude_seen:
        keep &= ~np.isin(candidates.item, history.item)
    if request.in_stock or rules.in_stock:
        keep &= shelf.in_stock[candidates.item]
    if request.category is not None:
        keep &= items.category[candidates.item] == model.category_codes.get(request.category, len(items))
    return candidates.only(keep)


def rank(
    model: Model,
    request: Request,
    history: History,
    candidates: Candidates,
    now_us: int,
) -> Floats:
    """The chance of each candidate to be acted on next, from 0 to 1. For what is to be like an item, times how like
    it is: the likeliest next item may be anything that is popular.

    Raises:
        LackingRankerError: the model has no ranker.

    """
    if model.ranker is None:
        raise LackingRankerError("the model's ranker could not be read")
    if not len(candidates.item):
        return np.zeros(0, np.float32)
    preferred = _preferred(model, request)
    rows = features(model.parts, model.kinds, history, candidates, now_us, preferred=preferred)
    chance = model.ranker.chance(model.ranker.score(rows))
    return chance * unranked(candidates) if request.context == "similar" else chance


def unranked(candidates: Candidates) -> Floats:
    """From 0 to 1, by the places in the sources: what an answer without the ranker sorts by."""
    return candidates.score / max(float(candidates.score.max(initial=0)), 1e-9)


def arrange(
    model: Model, history: History, candidates: Candidates, scores: Floats, limit: int, now_us: int, rules: Rules
) -> Sequence[Recommended]:
    """At most `limit`, by chance, freshness and diversity, each with its reason."""
    items = model.parts.items
    codes = candidates.item
    raised = fresh(scores, items.created_us[codes], now_us, rules)
    vectors = model.parts.content.item_vectors
    chosen = diverse(raised, vectors, codes, items.category[codes], limit, rules)
    found_by = [find.SOURCES[one] for one in candidates.source[chosen].tolist()]
    why = reasons(model, history, codes[chosen], found_by)
    shown_ids = [items.item_ids[code] for code in codes[chosen].tolist()]
    return list(map(Recommended, shown_ids, scores[chosen].tolist(), found_by, why))


def explore(
    model: Model,
    request: Request,
    history: History,
    hidden: Hidden,
    items: Sequence[Recommended],
    now_us: int,
    rules: Rules,
    shelf: Shelf,
) -> Sequence[Recommended]:
    """With new items at their share of the places. Something similar is asked for to compare, and gets none."""
    if request.context == "similar" or rules.exploration <= 0:
        return items
    count = max(1, round(request.limit * rules.exploration)) + max(request.limit - len(items), 0)
    ids = unwanted(hidden, rules) | request.exclude
    new = new_items(model, request, history, shelf.new, ids, count, now_us)
    return woven(items, new, request.limit, rules.exploration)


def _preferred(model: Model, request: Request) -> Sequence[int]:
    codes = (model.category_codes.get(name, NONE) for name in request.preferred_categories)
    return [code for code in codes if code != NONE]
