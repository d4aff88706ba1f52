"""Training as pure steps: cut the actions, fit the parts on what is before, learn to rank on what came then."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from domain.errors import PermanentError
from recommend.actions import ActionTable
from recommend.arrays import NONE, Codes, Flags, Floats, Places
from recommend.candidates import Candidates, CandidateSettings, all_sources, merge
from recommend.catalog import ItemTable
from recommend.features import NAMES, features
from recommend.history import history_before
from recommend.nights import Nights
from recommend.parts import Parts, PartSettings, fit_parts
from recommend.questions import Question, is_new_interest, question
from recommend.ranking import Ranker, RankerSettings, RankingSet, calibrated, fit_ranker


class TooLittleError(PermanentError):
    """There is nothing to learn from yet."""


_PREFERRED_OF = 5
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    parts: PartSettings = field(default_factory=PartSettings)
    candidates: CandidateSettings = field(default_factory=CandidateSettings)
    ranker: RankerSettings = field(default_factory=RankerSettings)
    split: Literal["time", "last"] = "time"
    """What the ranker learns from: the newest share of all actions, as a shop's training must, or, for data without
    a common time such as MovieLens', the newest actions of each account."""
    ranked_share: float = 0.15
    """Split by time: so much of the actions."""
    ranked_last: int = 10
    """Split by account: so many, and at most half of what an account did."""
    questions: int = 8_000
    calibrated: int = 600
    """Questions that calibration is done on; the ranker does not learn from them."""
    negatives: int = 80
    """Candidates of a question that were not acted on: drawn evenly, since whatever is drawn more often where sources
    put it high teaches that what is high is wrong."""
    newcomers: float = 0.25
    """The share of questions that are asked as if the account were new, since in a log those who stayed outnumber
    those who come: it has done nothing yet, or a thing or two, and half of the time it has said what it prefers."""
    threads: int = 2
    seed: int = 0


def candidates_of(
    parts: Parts, asked: Question, settings: CandidateSettings, preferred: Sequence[int] = ()
) -> Candidates:
    """Without what the catalog did not have yet."""
    everything = len(parts.items) if len(parts.items) <= settings.small_catalog else None
    found = merge(all_sources(parts, asked.history, settings, preferred), everything)
    return found.only(parts.items.created_us[found.item] <= asked.now_us)


def as_newcomer(
    random: np.random.Generator, actions: ActionTable, asked: Question, category: Codes
) -> tuple[Question, Sequence[int]]:
    """The question with next to no history, and the categories that the account may have said it prefers."""
    preferred = np.unique(category[asked.history.item[:_PREFERRED_OF]])
    said = preferred[preferred != NONE].tolist() if random.random() < _HALF else []
    return replace(asked, history=history_before(actions, asked.place, int(random.integers(3)))), said


def ranking_set(
    nights: Nights, actions: ActionTable, places: Iterable[int], settings: TrainingSettings
) -> RankingSet:
    """Questions at these places; those that no source answered are left out.

    The parts know nothing of these actions, the counts are of the night before, the history is of before.
    """
    random = np.random.default_rng(settings.seed)
    blocks: list[Floats] = []
    relevances: list[Floats] = []
    for place in places:
        asked = question(actions, place)
        preferred: Sequence[int] = ()
        parts = nights.at(asked.now_us)
        if random.random() < settings.newcomers:
            asked, preferred = as_newcomer(random, actions, asked, parts.items.category)
        candidates = candidates_of(parts, asked, settings.candidates, preferred)
        relevant = candidates.item == actions.item[place]
        if not relevant.any():
            continue
        chosen = _sample(random, relevant, settings.negatives)
        kept = candidates.only(chosen)
        blocks.append(features(parts, actions.kinds, asked.history, kept, asked.now_us, preferred=preferred))
        relevances.append(relevant[chosen].astype(np.float32))
    return RankingSet(
        np.concatenate(blocks) if blocks else np.zeros((0, len(NAMES)), np.float32),
        np.concatenate(relevances) if relevances else np.zeros(0, np.float32),
        np.array([len(one) for one in relevances], np.intp),
    )


def _sample(random: np.random.Generator, relevant: Flags, negatives: int) -> Places:
    others = np.flatnonzero(~relevant)
    if len(others) > negatives:
        others = random.choice(others, negatives, replace=False)
    return np.concatenate([np.flatnonzero(relevant), others])


def choose_questions(actions: ActionTable, eligible: Flags, settings: TrainingSettings) -> Places:
    """In an order of luck."""
    places = np.flatnonzero(eligible & is_new_interest(actions))
    return np.random.default_rng(settings.seed).permutation(places)[: settings.questions + settings.calibrated]


def learn_to_rank(parts: Parts, actions: ActionTable, eligible: Flags, settings: TrainingSettings) -> Ranker:
    """From the questions that `eligible` marks, none of which the parts know.

    Raises:
        TooLittleError: there are none that any source has the answer to.

    """
    places = choose_questions(actions, eligible, settings)
    kept_back = min(settings.calibrated, len(places) // 5)
    nights = Nights(parts, actions)
    rows = ranking_set(nights, actions, places[kept_back:].tolist(), settings)
    if not len(rows.sizes):
        raise TooLittleError(f"{len(actions)} actions are too few to learn from")
    ranker = fit_ranker(rows, settings.ranker, settings.threads)
    return calibrate(ranker, nights, actions, places[:kept_back].tolist(), settings)


def calibrate(
    ranker: Ranker, nights: Nights, actions: ActionTable, places: Iterable[int], settings: TrainingSettings
) -> Ranker:
    """With all candidates of each question: chances are of what is really ranked."""
    scores: list[Floats] = []
    relevant: list[Flags] = []
    for place in places:
        asked = question(actions, place)
        parts = nights.at(asked.now_us)
        candidates = candidates_of(parts, asked, settings.candidates)
        scores.append(ranker.score(features(parts, actions.kinds, asked.history, candidates, asked.now_us)))
        relevant.append(candidates.item == actions.item[place])
    return (
        calibrated(ranker, np.concatenate(scores), np.concatenate(relevant).astype(np.float32)) if scores else ranker
    )


def time_of_share(actions: ActionTable, share: float) -> int:
    """The moment before which all but the newest share of the actions are."""
    return int(np.quantile(actions.at_us, 1 - share))


def is_ranked(actions: ActionTable, settings: TrainingSettings) -> Flags:
    """Marks the actions that the ranker learns from and the parts do not know then."""
    if settings.split == "time":
        return actions.at_us >= time_of_share(actions, settings.ranked_share)
    own = np.diff(actions.starts)[actions.account]
    newest: Flags = actions.places_from_last() < np.minimum(settings.ranked_last, own // 2)
    return newest


def train(actions: ActionTable, items: ItemTable, settings: TrainingSettings) -> tuple[Parts, Ranker]:
    """The ranker learns with parts that do not know what it learns from; then the parts are fitted on all."""
    eligible = is_ranked(actions, settings)
    end_us = int(actions.at_us.max()) + 1
    known = fit_parts(actions.only(~eligible), items, end_us, settings.parts, settings.threads)
    ranker = learn_to_rank(known, actions, eligible, settings)
    return fit_parts(actions, items, end_us, settings.parts, settings.threads), ranker
