"""An answer whatever is gone: the recommender's, else one made ahead, else popular items, else those last seen.

Every rung has a time of its own, so that a part that hangs costs an answer no more than that, and the next answers
for a while nothing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from domain.actions import Hidden
from domain.errors import FootfallError
from domain.recommendations import Answer, Ask
from serving.metrics import ANSWERS, RUNG_FAILURES
from serving.popular import Popular
from store.precomputed import PrecomputedStore
from store.signals import SignalStore

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

RECOMMENDER_S = 0.25
_READ_S = 0.1
_LEFT_ALONE_S = 1.0
_SEEN = 200

Recommend = Callable[[Ask], Awaitable[Answer]]


class _Part:
    """Something that may be gone: asked within a time, and left alone for a while after it failed."""

    def __init__(self, name: str, within_s: float) -> None:
        self._name = name
        self._within_s = within_s
        self._left_alone_until = 0.0

    async def ask(self, question: Callable[[], Awaitable[_T]]) -> _T | None:
        """The answer, or None where there is none."""
        now = time.monotonic()
        if now < self._left_alone_until:
            return None
        try:
            async with asyncio.timeout(self._within_s):
                return await question()
        except (FootfallError, TimeoutError) as error:
            RUNG_FAILURES.labels(self._name).inc()
            _log.warning("%s gave no answer: %s", self._name, str(error) or type(error).__name__)
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
            return None


class Ladder:
    """Answers every request for recommendations; never raises for a part that is gone."""

    def __init__(
        self, recommend: Recommend, precomputed: PrecomputedStore, signals: SignalStore, popular: Popular
    ) -> None:
        self._recommend = recommend
        self._precomputed = precomputed
        self._signals = signals
        self._popular = popular
        self._recommender = _Part("recommender", RECOMMENDER_S)
        self._made_ahead = _Part("precomputed", _READ_S)
        self._known = _Part("signals", _READ_S)
        self._popularity = _Part("popular", _READ_S)

    async def answer(self, ask: Ask) -> Answer:
        answer = await self._recommender.ask(lambda: self._recommend(ask))
        if answer is None or not answer.items:
            answer = await self._below(ask)
        ANSWERS.labels(answer.rung).inc()
        return answer

    async def _below(self, ask: Ask) -> Answer:
        unwanted = await self._unwanted(ask)
        if ask.context == "homepage" and ask.category is None and not ask.in_stock:
            made = await self._made_ahead.ask(lambda: self._read_made(ask.account_id))
            left = [] if made is None else [one for one in made.items if one.item_id not in unwanted]
            if made is not None and left:
                return made.of(left[: ask.limit])
        popular = await self._popularity.ask(lambda: self._popular.answer(ask, unwanted))
        return popular if popular is not None else self._popular.remembered(ask, unwanted)

    async def _read_made(self, account_id: str) -> Answer | None:
        made = await self._precomputed.read(account_id)
        return None if made is None else await self._popular.shown(made)

    async def _unwanted(self, ask: Ask) -> Collection[str]:
        """What the account does not want to see, as far as it is known now."""
        unwanted = set(ask.exclude)
        hidden = await self._known.ask(lambda: self._signals.hidden(ask.account_id))
        if hidden is not None:
            unwanted |= _never_shown(hidden) | (hidden.bought if ask.exclude_bought else frozenset())
        if ask.exclude_seen:
            seen = await self._known.ask(lambda: self._signals.recent(ask.account_id, _SEEN))
            unwanted |= {action.item_id for action in seen or ()}
        return unwanted


def _never_shown(hidden: Hidden) -> frozenset[str]:
    return hidden.hidden | hidden.disliked | hidden.not_interested
