"""An answer whatever is gone: the recommender's, else one made ahead, else popular items, else those last seen.

Every rung has a time of its own, so that a part that hangs costs an answer no more than that, and the next answers
for a while nothing.
"""

from collections.abc import Callable, Collection, Coroutine
from typing import Any

from domain.actions import Hidden
from domain.recommendations import Answer, Ask
from serving.metrics import ANSWERS
from serving.part import Part
from serving.popular import Popular
from store.precomputed import PrecomputedStore
from store.signals import SignalStore

RECOMMENDER_S = 0.25
_READ_S = 0.1
_SEEN = 200

Recommend = Callable[[Ask], Coroutine[Any, Any, Answer]]


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
        self._known = Part("signals", _READ_S)
        self._popularity = Part("popular", _READ_S)

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
