"""Training as pure steps: cut the actions, fit the parts on what is before, learn to rank on what came then."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from recommend.actions import ActionTable
from recommend.arrays import Flags, Floats, Places
from recommend.candidates import Candidates, CandidateSettings, all_sources, merge
from recommend.catalog import ItemTable
from recommend.features import features
from recommend.history import History, history_before
from recommend.parts import Parts, PartSettings, fit_parts
from recommend.ranking import Ranker, RankerSettings, RankingSet, calibrated, fit_ranker

_RELEVANCE_NEXT, _RELEVANCE_LATER = 2.0, 1.0


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    parts: PartSettings = field(default_factory=PartSettings)
    candidates: CandidateSettings = field(default_factory=CandidateSettings)
    ranker: RankerSettings = field(default_factory=RankerSettings)
    ranked_share: float = 0.15
    """The newest share of the actions, which the ranker learns from and calibration is done on."""
    questions: int = 12_000
    negatives: int = 60
    """Candidates of a question that were not acted on."""
    later: int = 5
    """Actions after the one asked for that count as relevant, too."""
    threads: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A moment of an account: what it did before, and where in the table what it did then stands."""

    place: int
    history: History
    now_us: int


def is_new_interest(actions: ActionTable) -> Flags:
    """Marks the actions that answer a recommendation could have got: of interest, and the first of the account with
    the item within its visit; what follows on the same page says nothing of what to show.
    """
    wanted = actions.kinds.interest[actions.kind] > 0
    visit = np.where(actions.session >= 0, actions.session.astype(np.int64), -1 - actions.at_us // 3_600_000_000)
    order = np.lexsort((np.arange(len(actions)), actions.item, visit, actions.account))
    same = np.zeros(len(actions), np.bool_)
    left, right = order[:-1], order[1:]
    same[right] = (
        (actions.account[left] == actions.account[right])
        & (visit[left] == visit[right])
        & (actions.item[left] == actions.item[right])
    )
    return wanted & ~same & (actions.kinds.weight[actions.kind] > 0)


def question(actions: ActionTable, place: int) -> Question:
    return Question(place, history_before(actions, place), int(actions.at_us[place]))


def candidates_of(parts: Parts, history: History, settings: CandidateSettings) -> Candidates:
    everything = len(parts.items) if len(parts.items) <= settings.small_catalog else None
    return merge(all_sources(parts, history, settings), everything)


def ranking_set(parts: Parts, actions: ActionTable, places: Iterable[int], settings: TrainingSettings) -> RankingSet:
    """Questions at these places. The parts know nothing of these actions; features see what came before each."""
    random = np.random.default_rng(settings.seed)
    blocks: list[Floats] = []
    relevances: list[Floats] = []
    for place in places:
        asked = question(actions, place)
        candidates = candidates_of(parts, asked.history, settings.candidates)
        relevance = _relevance(actions, place, candidates, settings.later)
        if not (relevance > 0).any():
            continue
        chosen = _sample(random, relevance, settings.negatives)
        kept = candidates.only(chosen)
        blocks.append(features(parts, actions.kinds, asked.history, kept, asked.now_us))
        relevances.append(relevance[chosen])
    return RankingSet(
        np.concatenate(blocks), np.concatenate(relevances), np.array([len(one) for one in relevances], np.intp)
    )


def _relevance(actions: ActionTable, place: int, candidates: Candidates, later: int) -> Floats:
    end = min(place + 1 + later, int(actions.starts[actions.account[place] + 1]))
    then = actions.item[place:end][actions.kinds.weight[actions.kind[place:end]] > 0]
    relevance = _RELEVANCE_LATER * np.isin(candidates.item, then).astype(np.float32)
    relevance[candidates.item == actions.item[place]] = _RELEVANCE_NEXT
    return relevance


def _sample(random: np.random.Generator, relevance: Floats, negatives: int) -> Places:
    """All relevant ones, and some of the others, each as likely: where those that sources put highest were taken more
    often, the ranker would learn that a high place in a source speaks against an item.
    """
    others = np.flatnonzero(relevance == 0)
    if len(others) > negatives:
        others = random.choice(others, negatives, replace=False)
    return np.concatenate([np.flatnonzero(relevance > 0), others])


def choose_questions(actions: ActionTable, eligible: Flags, settings: TrainingSettings) -> Places:
    places = np.flatnonzero(eligible & is_new_interest(actions))
    random = np.random.default_rng(settings.seed)
    if len(places) > settings.questions:
        places = random.choice(places, settings.questions, replace=False)
    return random.permutation(places)


def learn_to_rank(parts: Parts, actions: ActionTable, eligible: Flags, settings: TrainingSettings) -> Ranker:
    """From the questions that `eligible` marks; a tenth of them is kept back for the calibration."""
    places = choose_questions(actions, eligible, settings)
    kept_back = places[: max(min(len(places) // 10, 500), 1)]
    ranker = fit_ranker(
        ranking_set(parts, actions, places[len(kept_back) :].tolist(), settings), settings.ranker, settings.threads
    )
    scores, relevant = [], []
    for place in kept_back.tolist():
        asked = question(actions, place)
        candidates = candidates_of(parts, asked.history, settings.candidates)
        scores.append(ranker.score(features(parts, actions.kinds, asked.history, candidates, asked.now_us)))
        relevant.append(candidates.item == actions.item[place])
    return calibrated(ranker, np.concatenate(scores), np.concatenate(relevant).astype(np.float32))


def time_of_share(actions: ActionTable, share: float) -> int:
    """The moment before which all but the newest share of the actions are."""
    return int(np.quantile(actions.at_us, 1 - share))


def train(actions: ActionTable, items: ItemTable, settings: TrainingSettings) -> tuple[Parts, Ranker]:
    """The ranker learns on the newest share, with parts that do not know it; the parts are then fitted on all."""
    cut_us = time_of_share(actions, settings.ranked_share)
    known = fit_parts(actions.before(cut_us), items, cut_us, settings.parts, settings.threads)
    ranker = learn_to_rank(known, actions, actions.at_us >= cut_us, settings)
    end_us = int(actions.at_us.max()) + 1
    return fit_parts(actions, items, end_us, settings.parts, settings.threads), ranker
