"""What a ranker foretells of actions that nothing has seen, and what its rivals foretell of them."""

from collections.abc import Callable

import numpy as np

from domain.training import GATE_METRIC, behind, behind_error
from recommend.actions import ActionTable
from recommend.arrays import Codes, Floats, Places
from recommend.baselines import popularity
from recommend.candidates import CandidateSettings
from recommend.evaluation import Quality, evaluate
from recommend.features import features
from recommend.parts import Parts
from recommend.questions import is_new_interest, known_items, question
from recommend.ranking import Ranker
from recommend.training import candidates_of

Figures = dict[str, float]

_MOST_QUESTIONS = 2_000
_POPULAR_HALF_LIFE_DAYS = 14.0


def judged(
    parts: Parts,
    actions: ActionTable,
    moment_us: int,
    settings: CandidateSettings,
    ranker: Ranker,
    rival: Ranker | None,
    tell: Callable[[str], None],
) -> Figures:
    """The figures of a ranker, and how far it is behind popularity and behind the `rival`, question by question.

    The parts know what was before the moment, and so does popularity; the questions are of after it. A rival is
    lent the same parts: those of its own model have seen some of the questions.
    """
    places = _questions(actions, moment_us)
    tell(f"asking {len(places):,} questions")
    side_by_side = _SideBySide(parts, actions, settings, [ranker] if rival is None else [ranker, rival])
    ours = evaluate(actions, places, lambda some: side_by_side.scores(some, 0))
    popular = popularity(actions.before(moment_us), half_life_days=_POPULAR_HALF_LIFE_DAYS)
    theirs = evaluate(actions, places, lambda some: popular([known_items(actions, place) for place in some]))
    figures = {"questions": float(len(places)), **_named("", ours), **_compared("popularity", theirs, ours)}
    if rival is not None:
        before = evaluate(actions, places, lambda some: side_by_side.scores(some, 1))
        figures |= _compared("current", before, ours)
    return figures


class _SideBySide:
    """Several rankers over the same features, which take longer than any of them. Kept are some thousand questions
    with their candidates: some ten megabytes.
    """

    def __init__(
        self, parts: Parts, actions: ActionTable, settings: CandidateSettings, rankers: list[Ranker]
    ) -> None:
        self._parts = parts
        self._actions = actions
        self._settings = settings
        self._rankers = rankers
        self._kept: dict[int, tuple[Codes, list[Floats]]] = {}

    def scores(self, places: Places, which: int) -> Floats:
        """As the recommender scores: what is no candidate has no chance."""
        rows = np.full((len(places), len(self._parts.items)), -np.inf, np.float32)
        for row, place in zip(rows, places.tolist(), strict=True):
            codes, scores = self._of(place)
            row[codes] = scores[which]
        return rows

    def _of(self, place: int) -> tuple[Codes, list[Floats]]:
        if place not in self._kept:
            asked = question(self._actions, place)
            found = candidates_of(self._parts, asked, self._settings)
            rows = features(self._parts, self._actions.kinds, asked.history, found, asked.now_us)
            self._kept[place] = found.item, [ranker.score(rows) for ranker in self._rankers]
        return self._kept[place]


def _questions(actions: ActionTable, moment_us: int) -> Places:
    """Of each account what it turned to first from that moment on, new to it or not: people come back to things."""
    places = np.flatnonzero(is_new_interest(actions) & (actions.at_us >= moment_us))
    _, first = np.unique(actions.account[places], return_index=True)
    return np.random.default_rng(0).permutation(places[first])[:_MOST_QUESTIONS]


def _compared(rival: str, theirs: Quality, ours: Quality) -> Figures:
    difference = theirs.gains.astype(np.float64) - ours.gains
    return {
        **_named(f"{rival}_", theirs),
        behind(rival): float(difference.mean()),
        behind_error(rival): float(difference.std(ddof=1) / len(difference) ** 0.5) if len(difference) > 1 else 0.0,
    }


def _named(prefix: str, quality: Quality) -> Figures:
    return {
        f"{prefix}{GATE_METRIC}": quality.ndcg,
        f"{prefix}hit_rate_at_10": quality.hit_rate,
        f"{prefix}auc": quality.auc,
        f"{prefix}coverage": quality.coverage,
    }
