"""An answer of the recommender: the account's signals read now, then candidates, ranker and post-processing."""

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from domain.actions import Action, Hidden
from domain.errors import FootfallError
from domain.recommendations import Answer, Ask, Rung
from recommend.answer import Request
from recommend.postprocess import BOUNDS, Rules
from recommend.recommend import arrange, explore, known_history, merge_for, rank, shown, sources, unranked
from serving.current_model import CurrentModel
from serving.metrics import RUNG_FAILURES
from serving.profiles import Profiles
from serving.stocked import StockedModel
from serving.words import worded
from store.signals import SignalStore, now_us

_log = logging.getLogger(__name__)

_READ_S = 0.05

_NOTHING_HIDDEN = Hidden()


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of an account; `whole` False where its signals could not be read."""

    recent: Sequence[Action] = ()
    hidden: Hidden = _NOTHING_HIDDEN
    preferred: Sequence[str] = ()
    whole: bool = True


class Engine:
    """Answers by the current model. Arithmetic runs in threads, so that reads go on meanwhile."""

    def __init__(
        self, models: CurrentModel[StockedModel], signals: SignalStore, profiles: Profiles, rules: Rules
    ) -> None:
        self._models = models
        self._signals = signals
        self._profiles = profiles
        self._rules = rules
        self._threads = ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1), thread_name_prefix="answers")

    async def answer(self, ask: Ask) -> Answer:
        """What the model says.

        Raises:
            TransientError: there is no model.

        """
        current = self._models.get(ask.model_version)
        known = await self._read(ask.account_id)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, _answer, current.model, current.version, ask, known, _with_numbers(self._rules, ask)
        )

    async def _read(self, account_id: str) -> _Known:
        try:
            async with asyncio.timeout(_READ_S):
                recent, hidden, preferred = await asyncio.gather(
                    self._signals.recent(account_id),
                    self._signals.hidden(account_id),
                    self._profiles.preferred(account_id),
                )
        except (FootfallError, TimeoutError) as error:
            RUNG_FAILURES.labels("signals").inc()
            _log.warning("an answer without the account's signals: %s", str(error) or type(error).__name__)
            return _Known(whole=False)
        return _Known(recent, hidden, preferred)


def _answer(stocked: StockedModel, version: str, ask: Ask, known: _Known, rules: Rules) -> Answer:
    model, shelf, moment_us = stocked.model, stocked.shelf, now_us()
    request = Request(
        ask.account_id,
        ask.limit,
        ask.context,
        ask.item_id,
        _left_out(ask, known),
        False,
        ask.category,
        ask.in_stock,
        known.preferred,
    )
    # Like an item means like it to anybody: the account's own taste would draw the answer away from it.
    history = known_history(model, request, known.recent if ask.context == "homepage" else (), moment_us)
    sourced = {name: source() for name, source in sources(model, request, history, shelf).items()}
    merged = merge_for(model, request, sourced)
    candidates = shown(model, request, history, known.hidden, merged, rules, shelf)
    rung: Rung = "ranked" if known.whole else "defaults"
    try:
        scores = rank(model, request, history, candidates, moment_us, {})
    except Exception:
        # Whatever is wrong with the ranker or its features: an answer by the candidates' own scores is one.
        RUNG_FAILURES.labels("ranker").inc()
        _log.exception("an answer without the ranker")
        scores, rung = unranked(candidates), "candidates"
    arranged = arrange(model, history, candidates, scores, ask.limit, moment_us, rules)
    items = explore(model, request, history, known.hidden, arranged, moment_us, rules, shelf)
    last_us = known.recent[0].occurred_at if known.recent else None
    return Answer(rung, [worded(one) for one in items], version, None, last_us)


def _left_out(ask: Ask, known: _Known) -> frozenset[str]:
    seen = (action.item_id for action in known.recent) if ask.exclude_seen else ()
    return frozenset((*ask.exclude, *seen))


def _with_numbers(rules: Rules, ask: Ask) -> Rules:
    """The rules of an answer: those configured, with what the request and its experiment say."""
    changed: dict[str, Any] = {name: value for name, value in (ask.rules or {}).items() if name in BOUNDS}
    return replace(rules, exclude_bought=ask.exclude_bought, **changed)
