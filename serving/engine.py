"""An answer of the recommender: the account's signals read now, then candidates, ranker and post-processing."""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from domain.actions import Action, Hidden
from domain.recommendations import Answer, Ask, Rung
from recommend.answer import Request
from recommend.arrays import Floats
from recommend.candidates import Candidates
from recommend.history import History
from recommend.index import LackingIndexError
from recommend.model import LackingRankerError, Model
from recommend.recommend import arrange, explore, known_history, merge_for, rank, shown, sources, unranked
from recommend.rules import OF_AN_ANSWER, Rules
from serving.current_model import Current, CurrentModel
from serving.metrics import FAILURES
from serving.part import Part
from serving.profiles import Profiles
from serving.sources import Asking, InTime
from serving.stocked import StockedModel
from serving.words import worded
from store.signals import SignalStore, now_us

_log = logging.getLogger(__name__)

_READ_S = 0.1
_WARMING = 20


@dataclass(frozen=True, slots=True)
class _Signals:
    recent: Sequence[Action]
    hidden: Hidden


_UNKNOWN = _Signals((), Hidden())


class Engine:
    """Answers by the current model. Arithmetic runs in threads, so that reads go on meanwhile."""

    def __init__(
        self, models: CurrentModel[StockedModel], signals: SignalStore, profiles: Profiles, rules: Rules
    ) -> None:
        self._models = models
        self._store = signals
        self._signals = Part("signals", _READ_S)
        self._profiles = profiles
        self._preferred = Part("profiles", _READ_S)
        self._rules = rules
        self._made = InTime[Answer](max(2, os.cpu_count() or 1))

    async def answer(self, ask: Ask) -> Answer:
        """What the model says.

        Raises:
            TransientError: there is no model, or it lacks an index.

        """
        current = self._models.get(ask.model_version)
        signals, preferred = await asyncio.gather(
            self._signals.ask(lambda: self._read(ask.account_id)),
            self._preferred.ask(lambda: self._profiles.preferred(ask.account_id)),
        )
        rules = _with_numbers(self._rules, ask)
        return await self._made.run(lambda asking: _make(asking, current, ask, signals, preferred or (), rules))

    async def _read(self, account_id: str) -> _Signals:
        return _Signals(*await self._store.both(account_id))


def _make(
    asking: Asking,
    current: Current[StockedModel],
    ask: Ask,
    signals: _Signals | None,
    preferred: Sequence[str],
    rules: Rules,
) -> Answer:
    model, shelf, moment_us, known = current.model.model, current.model.shelf, now_us(), signals or _UNKNOWN
    request = Request(
        ask.account_id,
        ask.limit,
        ask.context,
        ask.item_id,
        _left_out(ask, known),
        False,
        ask.category,
        ask.in_stock,
        preferred,
    )
    history = known_history(model, request, known.recent, moment_us)
    merged = merge_for(model, request, asking.ask(sources(model, request, history, shelf)))
    candidates = shown(model, request, history, known.hidden, merged, rules, shelf)
    scores, is_ranked = _scores(model, request, history, candidates, moment_us)
    arranged = arrange(model, history, candidates, scores, ask.limit, moment_us, rules)
    items = explore(model, request, history, known.hidden, arranged, moment_us, rules, shelf)
    rung: Rung = "candidates" if not is_ranked else "defaults" if signals is None else "ranked"
    last_us = known.recent[0].occurred_at if known.recent else None
    return Answer(rung, [worded(one) for one in items], current.version, None, last_us)


def warmed_up(stocked: StockedModel, rules: Rules) -> StockedModel:
    """The same, after an answer that nobody asked for: loops are compiled at their first use, for seconds, and
    files are read at theirs.
    """
    viewed = [Action("", one, "view", now_us(), b"") for one in stocked.model.parts.items.item_ids[:_WARMING]]
    with suppress(LackingIndexError):
        _make(Asking(frozenset()), Current("", stocked), Ask(""), _Signals(viewed, Hidden()), (), rules)
    return stocked


def _scores(
    model: Model, request: Request, history: History, candidates: Candidates, moment_us: int
) -> tuple[Floats, bool]:
    """The candidates' scores, and whether they are the ranker's."""
    try:
        return rank(model, request, history, candidates, moment_us), True
    except LackingRankerError:
        FAILURES.labels("ranker").inc()
    except Exception:
        # Whatever is wrong with the ranker or its features: an answer by the candidates' own scores is one.
        FAILURES.labels("ranker").inc()
        _log.exception("an answer without the ranker")
    return unranked(candidates), False


def _left_out(ask: Ask, known: _Signals) -> frozenset[str]:
    seen = (action.item_id for action in known.recent) if ask.exclude_seen else ()
    return frozenset((*ask.exclude, *seen))


def _with_numbers(rules: Rules, ask: Ask) -> Rules:
    """The rules of an answer: those configured, with what the request and its experiment say."""
    changed: dict[str, Any] = {name: value for name, value in (ask.rules or {}).items() if name in OF_AN_ANSWER}
    return replace(rules, exclude_bought=ask.exclude_bought, **changed)
