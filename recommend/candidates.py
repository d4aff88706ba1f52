"""The sources of candidates, each to be called on its own, and their merging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from recommend.arrays import Codes, Flags, Floats, Places, floats
from recommend.history import History
from recommend.leanings import leanings
from recommend.parts import Parts

Source = Literal["collaborative", "next", "content", "popular", "trending"]
SOURCES: tuple[Source, ...] = get_args(Source)
_ANCHORS = 20
_ANCHOR_DECAY = 0.85
_GROUPS = 20


@dataclass(frozen=True, slots=True)
class CandidateSettings:
    collaborative: int = 300
    next: int = 200
    content: int = 300
    popular: int = 150
    trending: int = 50
    small_catalog: int = 2_000
    """Up to so many items all are candidates."""


@dataclass(frozen=True, slots=True, eq=False)
class Sourced:
    """What one source found, best first; scores of different sources do not compare."""

    item: Codes
    score: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Items without duplicates."""

    item: Codes
    source: Codes
    """The first of SOURCES, in which the item stands highest."""
    rank: Floats
    """Source by candidate: 1 / (1 + place in the source), 0 where it does not have the item."""
    score: Floats
    """What is sorted by without a ranker: the sum of `rank`."""

    def only(self, which: Flags | Places) -> "Candidates":
        return Candidates(self.item[which], self.source[which], self.rank[:, which], self.score[which])


def collaborative(parts: Parts, history: History, count: int) -> Sourced:
    vector = parts.embeddings.fold_in(history.item, history.interest)
    return Sourced(*parts.nearest_items(vector, count))


def following(parts: Parts, history: History, count: int) -> Sourced:
    """What goes with the newest items, what comes after them, and the best of the groups that are leant to."""
    anchors = history.item[:_ANCHORS]
    weights = (_ANCHOR_DECAY ** np.arange(len(anchors)) * (history.interest[:_ANCHORS] > 0)).astype(np.float32)
    found = [lists.best(anchors, weights, count) for lists in (parts.together, parts.then)]
    if weights.any():
        found += [parts.moves.next.best(anchors[:1], weights[:1], count), _leant_to(parts, history, count)]
    items, inverse = np.unique(np.concatenate([one for one, _ in found]), return_inverse=True)
    scores = floats(np.bincount(inverse, np.concatenate([one / max(one.max(initial=0), 1e-9) for _, one in found])))
    best = np.argsort(-scores, kind="stable")[:count]
    return Sourced(items[best], scores[best])


def _leant_to(parts: Parts, history: History, count: int) -> tuple[Codes, Floats]:
    """The most turned to of the groups that the account, or its visit, leans to."""
    leaning, snapshot = leanings(parts.moves, history), parts.snapshot
    by_group = leaning.account + leaning.visit
    groups = np.argsort(-by_group, kind="stable")[:_GROUPS]
    starts, ends = snapshot.group_starts[groups, None], snapshot.group_starts[groups + 1, None]
    places = starts + np.arange(count)
    items = snapshot.by_group[places[places < ends]]
    scores = by_group[parts.moves.group[items]] * snapshot.share_of_group(items)
    best = np.argsort(-scores, kind="stable")[:count]
    return items[best], floats(scores[best])


def content(parts: Parts, history: History, count: int) -> Sourced:
    weights = (_ANCHOR_DECAY ** np.arange(len(history)) * history.interest).astype(np.float32)
    return Sourced(*parts.nearest_content(parts.content.profile(history.item, weights), count))


def content_like(parts: Parts, vector: Floats | None, count: int) -> Sourced:
    """What has words like these; nothing for None."""
    if vector is None:
        return Sourced(np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Sourced(*parts.nearest_content(vector, count))


def popular(parts: Parts, history: History, preferred: Sequence[int], count: int) -> Sourced:
    """In the account's categories, or, when it has none, anywhere."""
    categories = np.unique(parts.items.category[history.item[history.interest > 0]])
    wanted = np.union1d(categories[categories >= 0], np.asarray(preferred, np.int32)).astype(np.int32)
    ranked = _first_of(parts.snapshot.popular, parts.items.category, wanted, count)
    return Sourced(ranked, parts.snapshot.popular_score(ranked))


def _first_of(ranked: Codes, category: Codes, wanted: Codes, count: int) -> Codes:
    """The first `count` that are of a category that is wanted, or of any where none is."""
    if not len(wanted):
        return ranked[:count]
    looked_at = 4 * count
    while True:
        found = ranked[:looked_at][np.isin(category[ranked[:looked_at]], wanted)]
        if len(found) >= count or looked_at >= len(ranked):
            return found[:count]
        looked_at *= 4


def trending(parts: Parts, count: int) -> Sourced:
    ranked = parts.snapshot.trending[:count]
    return Sourced(ranked, floats(1 / (1 + np.arange(len(ranked)))))


def all_sources(
    parts: Parts, history: History, settings: CandidateSettings, preferred: Sequence[int] = ()
) -> Mapping[Source, Sourced]:
    return {
        "collaborative": collaborative(parts, history, settings.collaborative),
        "next": following(parts, history, settings.next),
        "content": content(parts, history, settings.content),
        "popular": popular(parts, history, preferred, settings.popular),
        "trending": trending(parts, settings.trending),
    }


def merge(sourced: Mapping[Source, Sourced], everything: int | None = None) -> Candidates:
    """Sources that are missing gave nothing. `everything`: the size of a small catalog, which is candidates whole."""
    found = [sourced[name].item if name in sourced else np.zeros(0, np.int32) for name in SOURCES]
    items = np.unique(np.concatenate(found)) if everything is None else np.arange(everything, dtype=np.int32)
    rank = np.zeros((len(SOURCES), len(items)), np.float32)
    for row, place in zip(rank, found, strict=True):
        row[np.searchsorted(items, place)] = 1 / (1 + np.arange(len(place), dtype=np.float32))
    source, highest = np.zeros(len(items), np.int32), floats(rank[0])
    for number, ranked in enumerate(rank):
        source[ranked > highest] = number
        highest = floats(np.maximum(highest, ranked))
    return Candidates(items.astype(np.int32), source, rank, rank.sum(axis=0))
