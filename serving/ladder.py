"""An answer whatever is gone: the recommender's, else one made ahead, else popular items, else those last seen.

Every rung has a time of its own, so that a part that hangs costs an answer no more than that, and the next answers
for a while nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from domain.recommendations import Answer, Ask
from serving.metrics import ANSWERS, CACHE_LOOKS
from serving.part import Part
from serving.popular import Popular
from store.precomputed import PrecomputedStore
from store.signals import SignalStore

RECOMMENDER_S = 0.25
_READ_S = 0.1
_SEEN = 200

Recommend = Callable[[Ask], Coroutine[Any, Any, Answer]]


@dataclass(frozen=True, slots=True)
class _Known:
    """What an account said of late."""

    unwanted: frozenset[str]
    newest_us: int
    """When it last did anything; 0 for never."""


class Ladder:
    """Answers every request for recommendations; never raises for a part that is gone."""

    def __init__(
        self, recommend: Recommend, precomputed: PrecomputedStore, signals: SignalStore, popular: Popular
    ) -> None:
        self._recommend = recommend
        self._precomputed = precomputed
        self._signals = signals
        self._popular = popular
        self._recommender = Part("recommender", RECOMMENDER_S)
        self._made_ahead = Part("precomputed", _READ_S)
        self._signals_part = Part("signals", _READ_S)
        self._popularity = Part("popular", _READ_S)

    async def answer(self, ask: Ask) -> Answer:
        answer = await self._recommender.ask(lambda: self._recommend(ask))
        if answer is None or not answer.items:
            answer = await self._below(ask)
        ANSWERS.labels(answer.rung).inc()
        return answer

    async def _below(self, ask: Ask) -> Answer:
        known, made = await asyncio.gather(
            self._signals_part.ask(lambda: self._read_known(ask)),
            self._made_ahead.ask(lambda: self._read_made(ask)),
        )
        unwanted = {*ask.exclude, *(known.unwanted if known else ())}
        left = [one for one in made.items if one.item_id not in unwanted] if made else []
        if made is not None and left:
            outdated = known is not None and known.newest_us > (made.last_action_at_us or 0)
            return structs.replace(made, items=left[: ask.limit], outdated=outdated)
        popular = await self._popularity.ask(lambda: self._popular.answer(ask, unwanted))
        return popular if popular is not None else self._popular.remembered(ask, unwanted)

    async def _read_made(self, ask: Ask) -> Answer | None:
        """Only homepages of everything are made ahead."""
        if ask.context != "homepage" or ask.category is not None or ask.in_stock:
            return None
        made = await self._precomputed.read(ask.account_id)
        CACHE_LOOKS.labels("precomputed", "miss" if made is None else "hit").inc()
        return None if made is None else await self._popular.shown(made)

    async def _read_known(self, ask: Ask) -> _Known:
        hidden, recent = await asyncio.gather(
            self._signals.hidden(ask.account_id),
            self._signals.recent(ask.account_id, _SEEN if ask.exclude_seen else 1),
        )
        unwanted = hidden.rejected
        if ask.exclude_bought:
            unwanted |= hidden.bought
        if ask.exclude_seen:
            unwanted |= {action.item_id for action in recent}
        return _Known(unwanted, recent[0].occurred_at if recent else 0)
