"""`footfall publish`: what was recorded, into the topic; for what is from before there was one.

The blocks are read in the store's own order, account by account. Where it is cut off it says how to go on.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from rich.console import Console

from activities.publish import messages
from domain.errors import CorruptBlockError, InvalidInputError, TransientError
from domain.interaction import Interaction
from domain.week import week_of
from runtime.commands import errors
from runtime.connections import open_block_store, open_pool, open_topic
from runtime.fan_outs import print_json
from runtime.settings import Settings
from store.blocks.protocol import Block, BlockStore, TokenRange
from store.blocks.scan import merged, read_accounts
from store.topic import Topic

_POOL_SIZE = 4
_EVENTS_A_WRITE = 2_000
_AGAIN_AFTER_S = 2.0
_week = attrgetter("week")


@dataclass(frozen=True, slots=True)
class Span:
    """Microseconds since the Unix epoch; `to_us` excluded."""

    from_us: int
    to_us: int


@dataclass
class Place:
    """Where a run is: in this token range, behind this account. Written as START/ACCOUNT."""

    start: int | None = None
    account_id: str = ""

    @staticmethod
    def parse(text: str) -> "Place":
        """Raises InvalidInputError: it is none."""
        start, slash, account_id = text.partition("/")
        try:
            return Place(int(start if slash else "?"), account_id)
        except ValueError:
            raise InvalidInputError(f"--after: {text!r} is none of the places that this command told") from None

    def __str__(self) -> str:
        return f"{self.start}/{self.account_id}"


@dataclass
class Published:
    interactions: int = 0
    accounts: int = 0
    unreadable: int = 0
    """Weeks of accounts with a block that can't be read."""


class Backfill:
    """One run: `done` and `place` tell how far it is, whatever ends it."""

    def __init__(self, blocks: BlockStore, topic: Topic, place: Place, *, events_a_second: int) -> None:
        self._blocks = blocks
        self._topic = topic
        self._events_a_second = events_a_second
        self.place = place
        self.done = Published()
        self._accounts: list[str] = []
        self._events: list[Interaction] = []

    async def run(self, span: Span) -> None:
        weeks = week_of(span.from_us), week_of(span.to_us - 1)
        for within in self._ranges():
            after = self.place.account_id if within.start == self.place.start else None
            async with aclosing(read_accounts(self._blocks, within, *weeks, after or None)) as accounts:
                async for account_id, blocks in accounts:
                    self._accounts.append(account_id)
                    self._events += self._of(blocks, span)
                    if len(self._events) >= _EVENTS_A_WRITE:
                        await self._write(within)
            await self._write(within)

    def _ranges(self) -> list[TokenRange]:
        """Those that are left.

        Raises:
            InvalidInputError: the place is in none; the cluster has others now.

        """
        ranges = sorted(self._blocks.ranges())
        start = self.place.start
        if start is None:
            return ranges
        if start not in {one.start for one in ranges}:
            raise InvalidInputError(f"--after {self.place}: the cluster has other token ranges now; begin anew")
        return [one for one in ranges if one.start >= start]

    def _of(self, blocks: Sequence[Block], span: Span) -> list[Interaction]:
        found: list[Interaction] = []
        for _, of_week in groupby(blocks, key=_week):
            try:
                found += [one for one in merged(list(of_week)) if span.from_us <= one.occurred_at < span.to_us]
            except CorruptBlockError as error:  # the others are published all the same
                self.done.unreadable += 1
                errors.print(f"not published: {error}", style="red", highlight=False, markup=False)
        return found

    async def _write(self, within: TokenRange) -> None:
        if not self._accounts:
            return
        pause = asyncio.create_task(asyncio.sleep(len(self._events) / self._events_a_second))
        try:
            await self._write_at_last()
            await pause
        finally:
            pause.cancel()
        self.done.interactions += len(self._events)
        self.done.accounts += len(self._accounts)
        self.place = Place(within.start, self._accounts[-1])
        self._accounts, self._events = [], []

    async def _write_at_last(self) -> None:
        while True:
            try:
                await self._topic.write(messages(self._events))
            except TransientError as error:
                errors.print(f"waits: {error}", style="yellow", highlight=False, markup=False, soft_wrap=True)
                await asyncio.sleep(_AGAIN_AFTER_S)
            else:
                return


async def publish_recorded(
    settings: Settings, span: Span, after: str | None, console: Console, *, events_a_second: int, as_json: bool
) -> int:
    """The exit code: 1 where something could not be read."""
    async with _opened(settings) as (blocks, topic):
        place = Place() if after is None else Place.parse(after)
        backfill = Backfill(blocks, topic, place, events_a_second=events_a_second)
        following = asyncio.create_task(_follow(backfill, console)) if not as_json else None
        try:
            await backfill.run(span)
        except BaseException:
            if backfill.place.start is not None:
                errors.print(f"cut off; go on with --after '{backfill.place}'", highlight=False, soft_wrap=True)
            raise
        finally:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
    done = backfill.done
    if as_json:
        found: dict[str, Any] = {"topic": settings.publish_topic, **vars(done)}
        print_json(found)
    else:
        what = f"{done.interactions:,} interactions of {done.accounts:,} accounts"
        console.print(f"{what} are in {settings.publish_topic}", highlight=False)
    return 1 if done.unreadable else 0


async def _follow(backfill: Backfill, console: Console) -> None:
    with console.status("reads …") as status:
        while True:
            done = backfill.done
            status.update(f"{done.interactions:,} interactions of {done.accounts:,} accounts are published")
            await asyncio.sleep(0.2)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[BlockStore, Topic]]:
    async with AsyncExitStack() as stack:
        topic = await stack.enter_async_context(open_topic(settings))
        if topic is None:
            raise InvalidInputError("FOOTFALL_PUBLISH_TOPIC: not set")
        pool = await stack.enter_async_context(open_pool(settings, "footfall publish", _POOL_SIZE))
        yield await stack.enter_async_context(open_block_store(settings, pool)), topic
