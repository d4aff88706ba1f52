"""Whether everything is counted exactly once: blocks against what was sent, popularity and signals against these."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

import asyncpg

from domain.actions import Action, actions_of, signal_types
from domain.block import decode_block
from domain.event_types import load_event_weights
from domain.interaction import Interaction
from domain.week import WEEKS_KEPT, week_of
from runtime.connections import open_block_store, open_pool, open_signal_store
from runtime.settings import Settings
from store.blocks.protocol import Block
from store.popularity import PopularityDelta, count_popularity
from store.signals import RECENT
from tests.factories import now_us
from tests.faults.load import Sent

_PATIENCE_S = 90.0
_CLOCKS_APART_US = 2 * 86_400_000_000


@dataclass(slots=True)
class Verdict:
    """What is wrong, in words; nothing where all is right."""

    events: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.foreign, *self.miscounted]


async def drained(url: str) -> None:
    """Returns when nothing is accepted and not yet in every read model.

    Raises:
        AssertionError: it does not come to that; with what is left, and what is parked.

    """
    connection = await asyncpg.connect(url)
    try:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while await connection.fetchval("SELECT count(*) FROM intake_log"):
            if asyncio.get_running_loop().time() > deadline:
                left = await connection.fetch("SELECT batch_id, event_count, accepted_at FROM intake_log LIMIT 5")
                parked = await connection.fetch("SELECT batch_id, fan_out, reason FROM parked LIMIT 5")
                raise AssertionError(f"not worked off: {left}\nparked: {parked}")
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def judge(settings: Settings, prefix: str, sent: Sent, must_have: set[UUID]) -> Verdict:
    """Compares; `must_have` are the event ids that may not be missing."""
    async with open_pool(settings, "faults", 2) as pool, open_block_store(settings, pool) as store:
        this_week = week_of(now_us())
        accounts = {body["account_id"] for body in sent.bodies.values()}
        blocks = [
            block
            for account_id in accounts
            for block in await store.read_exact(
                account_id, this_week - WEEKS_KEPT, this_week + 1
            )  # a clock was ahead
        ]
        totals = await pool.fetch(
            "SELECT product_id, score, view_count, purchase_count, cart_count, review_count "
            "FROM product_popularity WHERE starts_with(product_id, $1)",
            prefix,
        )
        daily = await pool.fetch(
            "SELECT day, product_id, score, view_count, purchase_count, cart_count, review_count "
            "FROM product_popularity_daily WHERE starts_with(product_id, $1)",
            prefix,
        )
        async with open_signal_store(settings, pool, "faults") as signals:
            actions = [action for account_id in accounts for action in await signals.recent(account_id)]
    return compare(
        sent,
        must_have,
        blocks,
        {row[0]: tuple(row)[1:] for row in totals},
        {(row[0], row[1]): tuple(row)[2:] for row in daily},
        actions,
    )


def compare(
    sent: Sent,
    must_have: set[UUID],
    blocks: list[Block],
    totals: dict[str, tuple[int, ...]],
    daily: dict[tuple[date, str], tuple[int, ...]],
    signals: list[Action],
) -> Verdict:
    """Scores in millionths, then views, purchases, carts, reviews.

    In deltas an event id is once: more are intake rows that each brought it. A sealed block may have it once more,
    where a delta was written again after it was folded; readers merge these.
    """
    times: Counter[UUID] = Counter()
    once: dict[UUID, Interaction] = {}
    for block in blocks:
        for one in decode_block(block.data, block.account_id):
            event_id = UUID(bytes=one.event_id)
            once[event_id] = one
            times[event_id] += not block.sealed
    verdict = Verdict(events=len(once))
    verdict.lost = [f"lost: {one} {sent.bodies[one]}" for one in must_have - set(once)]
    verdict.doubled = [f"doubled: {one}, {count} times" for one, count in times.items() if count > 1]
    verdict.foreign = [f"never sent: {one}" for one in set(once) - set(sent.bodies)]
    expected = count_popularity(once.values(), load_event_weights())
    expected_daily = {key: _columns(delta) for key, delta in expected.items()}
    expected_totals: dict[str, tuple[int, ...]] = {}
    for (_, product_id), columns in expected_daily.items():
        before = expected_totals.get(product_id, (0,) * len(columns))
        expected_totals[product_id] = tuple(map(sum, zip(before, columns, strict=True)))
    verdict.miscounted = [
        *_differences("total", expected_totals, totals),
        *_differences("daily", expected_daily, daily),
        *wrong_signals(actions_of(once.values()), signals),
    ]
    return verdict


def wrong_signals(done: list[Action], signals: list[Action]) -> Iterator[str]:
    """Of what was done lately each has to be a signal once; an account's are to be fewer than are kept."""
    types = signal_types(load_event_weights())
    expected = {one.event_id: one for one in done if one.event_type in types}
    since_us = RECENT.since_us(now_us()) + _CLOCKS_APART_US
    found = Counter(one.event_id for one in signals)
    for one in expected.values():
        if one.occurred_at >= since_us and not found[one.event_id]:
            yield f"no signal: {one}"
    for one in signals:
        if found[one.event_id] > 1:
            yield f"a signal {found[one.event_id]} times: {one}"
        if expected.get(one.event_id) != one:
            yield f"a signal of what was not done: {one}"


def _differences(what: str, expected: dict, found: dict) -> list[str]:  # type: ignore[type-arg]
    return [
        f"{what} of {key}: {found.get(key)} in place of {expected.get(key)}"
        for key in expected.keys() | found.keys()
        if expected.get(key) != found.get(key)
    ]


def _columns(delta: PopularityDelta) -> tuple[int, ...]:
    return delta.score, delta.view, delta.purchase, delta.cart, delta.review
