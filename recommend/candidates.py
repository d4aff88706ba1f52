"""The sources of candidates, each to be called on its own, and their merging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from recommend import lookup
from recommend.arrays import Codes, Flags, Floats, Places, floats
from recommend.best import best_of
from recommend.compiled import compiled
from recommend.history import History
from recommend.leanings import leanings
from recommend.parts import Parts

Source = Literal["collaborative", "next", "content", "popular", "trending"]
SOURCES: tuple[Source, ...] = get_args(Source)
_ANCHORS = 20
_ANCHOR_DECAY = 0.85
_GROUPS = 20
_ONE = np.ones(1, np.float32)


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
    weights = _faded(history.interest[:_ANCHORS] > 0)
    found = [lists.best(anchors, weights, count) for lists in (parts.together, parts.then)]
    if weights.any():
        found += [parts.moves.next.best(anchors[:1], weights[:1], count), _leant_to(parts, history, count)]
    items = np.concatenate([one for one, _ in found])
    scores = np.concatenate([one / one[0] for _, one in found if len(one)] or [np.zeros(0, np.float32)])
    return Sourced(*best_of(*lookup.summed_up(items[None], scores[None], _ONE), count))


def _faded(interest: Floats | Flags) -> Floats:
    """Of items, newest first."""
    return floats(_ANCHOR_DECAY ** np.arange(len(interest)) * interest)


def _leant_to(parts: Parts, history: History, count: int) -> tuple[Codes, Floats]:
    """The most turned to of the groups that the account, or its visit, leans to."""
    leaning, snapshot = leanings(parts.moves, history), parts.snapshot
    items, chances = _of_groups(
        leaning.account + leaning.visit, snapshot.by_group, snapshot.group_starts, _GROUPS, count
    )
    return best_of(items, chances * snapshot.share_of_group(items), count)


@compiled
def _of_groups(by_group: Floats, items: Codes, starts: Places, groups: int, count: int) -> tuple[Codes, Floats]:
    """The first `count` items of each of so many groups, those with the highest values, and their groups' values."""
    values, found = by_group.copy(), np.empty(groups * count, np.int32)
    chances, size = np.empty(groups * count, np.float32), 0
    for _ in range(min(groups, len(values))):
        group = values.argmax()
        values[group] = -1
        for place in range(starts[group], min(starts[group + 1], starts[group] + count)):
            found[size], chances[size] = items[place], by_group[group]
            size += 1
    return found[:size], chances[:size]


def content(parts: Parts, history: History, count: int) -> Sourced:
    profile = parts.content.profile(history.item, _faded(history.interest))
    return Sourced(*parts.nearest_content(profile, count))


def content_like(parts: Parts, vector: Floats | None, count: int) -> Sourced:
    """What has words like these; nothing for None."""
    if vector is None:
        return Sourced(np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Sourced(*parts.nearest_content(vector, count))


def popular(parts: Parts, history: History, preferred: Sequence[int], count: int) -> Sourced:
    """In the account's categories, or, when it has none, anywhere."""
    category = parts.items.category
    wanted = np.concatenate([category[history.item[history.interest > 0]], np.asarray(preferred, np.int32)])
    ranked = _first_of(parts.snapshot.popular, category, wanted[wanted >= 0], count)
    return Sourced(ranked, parts.snapshot.popular_score(ranked))


def _first_of(ranked: Codes, category: Codes, wanted: Codes, count: int) -> Codes:
    """The first `count` that are of a category that is wanted, or of any where none is."""
    return _first_in(ranked, category, wanted, count) if len(wanted) else ranked[:count]


@compiled
def _first_in(ranked: Codes, category: Codes, wanted: Codes, count: int) -> Codes:
    categories = 0
    for one in wanted:
        categories = max(categories, one + 1)
    is_wanted = np.zeros(categories, np.bool_)
    for one in wanted:
        is_wanted[one] = True
    found, size = np.empty(count, np.int32), 0
    for item in ranked:
        if size == count:
            break
        if 0 <= category[item] < len(is_wanted) and is_wanted[category[item]]:
            found[size] = item
            size += 1
    return found[:size]


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
    listed = np.concatenate(found)
    items = _distinct(np.sort(listed)) if everything is None else np.arange(everything, dtype=np.int32)
    ends = np.cumsum([len(one) for one in found])
    rank, source, score = _ranked(lookup.places(listed, items), ends, len(items))
    return Candidates(items, source, rank, score)


@compiled
def _distinct(ordered: Codes) -> Codes:
    distinct, size = np.empty_like(ordered), 0
    for item in ordered:
        if size == 0 or item != distinct[size - 1]:
            distinct[size] = item
            size += 1
    return distinct[:size]


@compiled
def _ranked(columns: Codes, ends: Places, size: int) -> tuple[Floats, Codes, Floats]:
    """Rank, source and score of so many Candidates. `columns` are those that were found, source by source."""
    rank, score = np.zeros((len(ends), size), np.float32), np.zeros(size, np.float32)
    source, highest, start = np.zeros(size, np.int32), np.zeros(size, np.float32), 0
    for number in range(len(ends)):
        for place in range(start, ends[number]):
            column, value = columns[place], np.float32(1 / (1 + place - start))
            rank[number, column] = value
            score[column] += value
            if value > highest[column]:
                source[column], highest[column] = number, value
        start = ends[number]
    return rank, source, score
