"""Every fan-out: applied once whatever is run again, and an effect without its mark does not exist (invariant 4)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities import FAN_OUTS
from activities.fan_out import FanOut, Resources
from activities.persist import Persist, delta_blocks
from activities.popularity import Popularity
from activities.publish import Publish
from domain.block import decode_block
from domain.errors import TransientError
from domain.event_types import load_event_weights
from domain.ids import new_id
from domain.week import date_of, day_of
from intake.log import IntakeLog, IntakeRow, NewInteraction
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import Block
from store.popularity import PopularityDelta, PopularityStore, ProductDay, count_popularity
from store.postgres import Connection, Pool
from store.signals_postgres import PostgresSignalStore
from tests.contract.block_store import history
from tests.factories import interaction, now_us, some_interactions
from tests.publishing import open_topic


@pytest.fixture
def unpublished(pool: Pool) -> Resources:
    signals = PostgresSignalStore(pool)
    return Resources(pool, IntakeLog(pool), PostgresBlockStore(pool), signals, load_event_weights())


@pytest.fixture
async def resources(unpublished: Resources, request: pytest.FixtureRequest) -> AsyncIterator[Resources]:
    """With a topic for the one fan-out that writes to it, which others need no broker for."""
    if getattr(request.node, "callspec", None) is None or request.node.callspec.params.get("kind") is not Publish:
        yield unpublished
        return
    async with open_topic(request.getfixturevalue("kafka")) as topic:
        yield replace(unpublished, topic=topic)


async def _rows(resources: Resources, batch: UUID | None = None) -> list[IntakeRow]:
    """Three intake rows of one batch, with a duplicate in the last."""
    batch = batch or new_id()
    events = [NewInteraction(one, date_of(day_of(one.occurred_at))) for one in some_interactions(90)]
    for part in (events[:30], events[30:60], events[50:]):
        await resources.log.append(batch, part)
    return await resources.log.read(batch)


_STATE = (
    "SELECT product_id, score, view_count FROM product_popularity ORDER BY 1",
    "SELECT day, product_id, score, view_count FROM product_popularity_daily ORDER BY 1, 2",
    "SELECT account_id, week, block_id, data FROM interaction_block ORDER BY 1, 2, 3",
    "SELECT account_id, newest_at, actions FROM recent_signal ORDER BY 1, 2, 3",
    "SELECT account_id, newest_at, actions FROM lasting_signal ORDER BY 1, 2, 3",
)


async def _state(pool: Pool) -> list[object]:
    return [await pool.fetch(query) for query in _STATE]


async def _apply(fan_out: FanOut, rows: Sequence[IntakeRow]) -> int:
    result = await ActivityEnvironment().run(fan_out.apply, rows)
    assert isinstance(result, set)
    return len(result)


@pytest.mark.parametrize("kind", FAN_OUTS)
async def test_applied_once_whatever_is_run_again(kind: type[FanOut], resources: Resources, pool: Pool) -> None:
    rows = await _rows(resources)
    assert await _apply(kind(resources), rows) == 3
    state = await _state(pool)
    assert await _apply(kind(resources), rows) == 0
    assert await _apply(kind(resources), rows[1:]) == 0
    assert await _state(pool) == state


@pytest.mark.parametrize("kind", FAN_OUTS)
async def test_applied_once_by_many_at_once(kind: type[FanOut], resources: Resources, pool: Pool) -> None:
    rows = await _rows(resources)
    await asyncio.gather(*(_apply(kind(resources), rows) for _ in range(4)))
    counted = sum(delta.score for row in rows for delta in _expected(row).values())
    if kind is Popularity:
        assert await pool.fetchval("SELECT sum(score) FROM product_popularity") == counted
        assert await pool.fetchval("SELECT sum(score) FROM product_popularity_daily") == counted
    assert await pool.fetchval("SELECT count(*) FROM applied") == 3


def _expected(row: IntakeRow) -> Mapping[ProductDay, PopularityDelta]:
    return count_popularity(row.interactions, load_event_weights())


async def test_popularity_without_its_commit_leaves_no_mark(
    resources: Resources, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = await _rows(resources)
    add = PopularityStore.add

    async def add_and_fail(
        store: PopularityStore, connection: Connection, deltas: Mapping[ProductDay, PopularityDelta]
    ) -> None:
        await add(store, connection, deltas)
        raise TransientError("lost after the write, before the commit")

    with monkeypatch.context() as patch, pytest.raises(TransientError):
        patch.setattr(PopularityStore, "add", add_and_fail)
        await _apply(Popularity(resources), rows)
    assert await pool.fetchval("SELECT count(*) FROM applied") == 0
    assert await pool.fetchval("SELECT count(*) FROM product_popularity") == 0
    assert await _apply(Popularity(resources), rows) == 3


async def test_persist_that_failed_half_way_writes_the_same_blocks_again(resources: Resources, pool: Pool) -> None:
    class HalfWay(PostgresBlockStore):
        async def write(self, blocks: Sequence[Block]) -> None:
            await super().write(blocks[: len(blocks) // 2])
            raise TransientError("the rest did not get through")

    rows = await _rows(resources)
    halfway = replace(resources, blocks=HalfWay(pool))
    with pytest.raises(TransientError):
        await _apply(Persist(halfway), rows)
    assert await pool.fetchval("SELECT count(*) FROM applied") == 0
    assert await _apply(Persist(resources), rows) == 3
    kept = await pool.fetchval("SELECT sum(event_count) FROM interaction_block")
    assert kept == sum(len(row.interactions) for row in rows) == 90


async def test_what_is_persisted_is_the_accounts_history(resources: Resources) -> None:
    rows = await _rows(resources)
    await _apply(Persist(resources), rows)
    every = [one for row in rows for one in row.interactions]
    for account in {one.account_id for one in every}:
        mine = sorted(
            (one for one in every if one.account_id == account),
            key=lambda one: (one.occurred_at, one.event_id),
            reverse=True,
        )
        assert await history(resources.blocks, account) == mine


def test_an_intake_row_always_makes_the_same_blocks() -> None:
    times = [now_us() - weeks * 7 * 86_400_000_000 for weeks in (0, 0, 1, 5)]
    events = [interaction(occurred_at=time) for time in times] + [interaction(account_id="bob")]
    row = IntakeRow(new_id(), None, events)  # type: ignore[arg-type]
    blocks = list(delta_blocks(row))
    assert blocks == list(delta_blocks(row))
    assert {(one.account_id, one.event_count) for one in blocks} == {("alice", 2), ("alice", 1), ("bob", 1)}
    assert {one.block_id for one in blocks} == {row.intake_id}
    decoded = [one for block in blocks for one in decode_block(block.data, block.account_id)]
    assert sorted(one.event_id for one in decoded) == sorted(one.event_id for one in events)
