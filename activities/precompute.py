"""Recommendations made ahead: the recommender is asked for every account that is about, and its answers are kept."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from activities.failures import heartbeats
from domain.precompute import (
    PLAN_PRECOMPUTE,
    PRECOMPUTE_RANGE,
    PrecomputeInput,
    PrecomputePlan,
    PrecomputeRange,
    PrecomputeResult,
)
from domain.recommendations import MOST_ITEMS, Answer, Ask
from domain.week import week_of
from intake.ledger import now_us
from serving.ladder import Recommend
from store.blocks.protocol import BlockStore, TokenRange
from store.precomputed import PrecomputedStore

_ASKED_AT_ONCE = 2
"""The recommender answers people meanwhile."""
_MADE = {"ranked", "candidates"}
"""Rungs that say something about the account: what is popular is not kept for each of them."""


class Precompute:
    def __init__(self, blocks: BlockStore, recommend: Recommend, store: PrecomputedStore) -> None:
        self._blocks = blocks
        self._recommend = recommend
        self._store = store

    def activities(self) -> list[Callable[..., Any]]:
        return [self.plan, self.precompute]

    @activity.defn(name=PLAN_PRECOMPUTE)
    async def plan(self, request: PrecomputeInput) -> PrecomputePlan:
        async with heartbeats():
            await self._store.forget()
            this_week = week_of(now_us())
            ranges = [(one.start, one.end) for one in self._blocks.ranges()]
            return PrecomputePlan(this_week - request.weeks_back, this_week, ranges)

    @activity.defn(name=PRECOMPUTE_RANGE)
    async def precompute(self, work: PrecomputeRange) -> PrecomputeResult:
        """Run again, it begins anew: what is kept already is written over."""
        async with heartbeats():
            done = PrecomputeResult(ranges=1)
            within = TokenRange(work.start, work.end)
            async for page in self._blocks.accounts(within, work.first_week, work.last_week):
                done = done.plus(await self._page(page))
            return done

    async def _page(self, accounts: Sequence[str]) -> PrecomputeResult:
        turns = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def ask(account_id: str) -> tuple[str, Answer]:
            async with turns:
                return account_id, await self._recommend(Ask(account_id, MOST_ITEMS))

        answers = dict(await asyncio.gather(*map(ask, accounts)))
        made = {account_id: answer for account_id, answer in answers.items() if answer.rung in _MADE and answer.items}
        if made:
            await self._store.write(made)
        return PrecomputeResult(0, len(made), len(answers) - len(made))
