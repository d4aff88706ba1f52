"""Recommendations made ahead: the recommender is asked for every account that is about, and its answers are kept."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from temporalio import activity

from activities.failures import heartbeats
from domain.errors import TransientError
from domain.precompute import (
    PLAN_PRECOMPUTE,
    PRECOMPUTE_RANGE,
    PrecomputeInput,
    PrecomputePlan,
    PrecomputeRange,
    PrecomputeResult,
    RangeNote,
)
from domain.recommendations import MOST_ITEMS, Answer, Ask
from domain.week import week_of
from intake.ledger import now_us
from serving.ladder import Recommend
from store.blocks.protocol import BlockStore, TokenRange
from store.models import ModelRegistry
from store.precomputed import PrecomputedStore

_ASKED_AT_ONCE = 2
"""The recommender answers people meanwhile."""
_A_GO = 50
"""Accounts whose answers are written together; also after how many an attempt notes how far it is."""
_MADE = {"ranked", "candidates"}
"""Rungs that say something about the account: what is popular is not kept for each of them."""

pause = asyncio.sleep


class Precompute:
    """`accounts_a_second`: the pace, at the most, so that people get their answers meanwhile."""

    def __init__(
        self,
        blocks: BlockStore,
        recommend: Recommend,
        store: PrecomputedStore,
        registry: ModelRegistry,
        *,
        accounts_a_second: float,
    ) -> None:
        self._blocks = blocks
        self._recommend = recommend
        self._store = store
        self._registry = registry
        self._accounts_a_second = accounts_a_second

    def activities(self) -> list[Callable[..., Any]]:
        return [self.plan, self.precompute]

    @activity.defn(name=PLAN_PRECOMPUTE)
    async def plan(self, request: PrecomputeInput) -> PrecomputePlan:
        """Drops what is out of date as well. Without a model there is nothing to ask, however long one waits."""
        async with heartbeats():
            await self._store.forget()
            this_week = week_of(now_us())
            has_model = await self._registry.current() is not None
            ranges = [(one.start, one.end) for one in self._blocks.ranges()] if has_model else []
            return PrecomputePlan(this_week - request.weeks_back, this_week, ranges)

    @activity.defn(name=PRECOMPUTE_RANGE)
    async def precompute(self, work: PrecomputeRange) -> PrecomputeResult:
        """Run again, it goes on behind the accounts that the attempt before has noted.

        Raises:
            TransientError: the recommender, or a store, is gone.

        """
        async with heartbeats() as note:
            noted = _noted()
            done, after = (PrecomputeResult(ranges=1), None) if noted is None else (noted.done, noted.after_account)
            pace = work.accounts_a_second or self._accounts_a_second
            within = TokenRange(work.start, work.end)
            async for page in self._blocks.accounts(within, work.first_week, work.last_week, after):
                for start in range(0, len(page), _A_GO):
                    some = page[start : start + _A_GO]
                    not_before = asyncio.get_running_loop().time() + len(some) / pace
                    done = done.plus(await self._make(some))
                    note(RangeNote(some[-1], done))
                    await pause(max(0.0, not_before - asyncio.get_running_loop().time()))
            return done

    async def _make(self, accounts: Sequence[str]) -> PrecomputeResult:
        """Asks for these accounts and keeps the answers. One that gets none does not keep the others from theirs.

        If none gets one, the recommender is gone; of a single account nobody knows, and it is left out tonight.
        """
        turns = asyncio.Semaphore(_ASKED_AT_ONCE)
        failures: list[TransientError] = []

        async def ask(account_id: str) -> Answer | None:
            async with turns:
                try:
                    return await self._recommend(Ask(account_id, MOST_ITEMS))
                except TransientError as error:
                    failures.append(error)
                    return None

        answers = zip(accounts, await asyncio.gather(*map(ask, accounts)), strict=True)
        if len(failures) == len(accounts) > 1:
            raise failures[-1]
        made = {account_id: one for account_id, one in answers if one and one.rung in _MADE and one.items}
        if made:
            await self._store.write(made)
        return PrecomputeResult(0, len(made), len(accounts) - len(made))


def _noted() -> RangeNote | None:
    details = activity.info().heartbeat_details
    return msgspec.convert(details[0], RangeNote) if details else None
