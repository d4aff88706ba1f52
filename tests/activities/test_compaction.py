"""Compaction over both stores: what is folded, what is left alone, and that being cut off anywhere loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.compaction import Compaction
from domain.compaction import CompactionResult, RangeInput
from domain.errors import TransientError
from domain.interaction import Interaction
from domain.week import WEEKS_KEPT, week_of
from store.blocks.cql import CqlBlockStore
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import Block, BlockStore, Fold, TokenRange, WeekSummary
from store.cql import CqlSession, Profile, Row
from store.postgres import Pool
from tests.contract.block_store import block, fold, history, placed, week_ago
from tests.factories import interaction, now_us

BUSY = 5


@pytest.fixture(params=["postgres", "cql"])
async def store(request: pytest.FixtureRequest, pool: Pool, cql_session: CqlSession) -> BlockStore:
    """An empty one of each kind."""
    if request.param == "postgres":
        return PostgresBlockStore(pool)
    for table in ("blocks", "metadata"):
        await cql_session.execute(f"TRUNCATE {{keyspace}}.{table}", profile="write")
    return await CqlBlockStore.prepared(cql_session)


async def compact(store: BlockStore, *, weeks_back: int = WEEKS_KEPT, pace: int = 10**9) -> CompactionResult:
    """Every range once, as the workflow does."""
    compaction = Compaction(store, busy_blocks=BUSY, events_a_second=pace)
    environment = ActivityEnvironment()
    plan = await environment.run(compaction.plan, weeks_back)
    done = CompactionResult()
    for start, end in plan.ranges:
        work = RangeInput(start, end, plan.first_week, plan.this_week)
        done = done.plus(await environment.run(compaction.compact, work))
    return done


async def fill(
    store: BlockStore, accounts: int, *, weeks: Sequence[int], deltas: int = 3
) -> dict[str, list[Interaction]]:
    """Accounts with so many deltas of two interactions in each week."""
    written: dict[str, list[Interaction]] = {}
    blocks: list[Block] = []
    for _ in range(accounts):
        account = str(uuid4())
        for ago in weeks:
            for n in range(deltas):
                events = [interaction(account_id=account, occurred_at=week_ago(ago, seconds=n)) for _ in range(2)]
                blocks.append(block(events))
                written.setdefault(account, []).extend(events)
    await store.write(blocks)
    return written


async def assert_all_there(store: BlockStore, written: dict[str, list[Interaction]]) -> None:
    for account, events in written.items():
        assert await history(store, account) == placed(events)


async def test_past_weeks_become_one_sealed_block_each(store: BlockStore) -> None:
    written = await fill(store, 150, weeks=[1, 2, 9, 17])
    done = await compact(store)
    assert (done.weeks_folded, done.events, done.blocks_before, done.blocks_after) == (600, 3_600, 1_800, 600)
    assert done.bytes_after < done.bytes_before
    await assert_all_there(store, written)
    for account in written:
        blocks = await store.read(account, week_of(week_ago(17)), week_of(week_ago(0)))
        assert [one.sealed for one in blocks] == [True] * 4
    again = await compact(store)
    assert (again.weeks_folded, again.ranges) == (0, len(store.ranges()))


async def test_of_the_present_week_only_busy_accounts_are_folded(store: BlockStore) -> None:
    busy = await fill(store, 2, weeks=[0], deltas=BUSY)
    quiet = await fill(store, 2, weeks=[0], deltas=BUSY - 1)
    assert (await compact(store)).weeks_folded == 2
    this_week = week_of(now_us())
    assert [len(await store.read(account, this_week, this_week)) for account in busy] == [1, 1]
    assert [len(await store.read(account, this_week, this_week)) for account in quiet] == [BUSY - 1] * 2


async def test_weeks_further_back_are_left_for_another_time(store: BlockStore) -> None:
    written = await fill(store, 3, weeks=[1, 2])
    assert (await compact(store, weeks_back=1)).weeks_folded == 3
    assert (await compact(store)).weeks_folded == 3
    await assert_all_there(store, written)


async def test_what_comes_late_is_folded_in(store: BlockStore) -> None:
    written = await fill(store, 3, weeks=[3])
    await compact(store)
    for account, events in written.items():
        late = interaction(account_id=account, occurred_at=week_ago(3, seconds=1))
        events.append(late)
        await store.write([block([late])])
    done = await compact(store)
    assert (done.weeks_folded, done.blocks_before, done.blocks_after) == (3, 6, 3)
    await assert_all_there(store, written)
    for account in written:
        assert [one.event_count for one in await store.metadata(account)] == [7]


async def test_an_unreadable_block_is_named_and_its_week_left_alone(store: BlockStore) -> None:
    written = await fill(store, 3, weeks=[3, 4])
    account = next(iter(written))
    week = week_of(week_ago(3))
    broken = Block(account, week, uuid4(), 1, b"\2 not a block")
    await store.write([broken])
    done = await compact(store)
    assert (done.weeks_folded, done.unreadable) == (5, 1)
    assert account in done.unreadable_named[0]
    assert "checksum" in done.unreadable_named[0]
    assert broken in await store.read(account, week, week)
    assert len(await store.read(account, week, week)) == 4


async def test_a_pace_is_kept(store: BlockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """120 interactions at 100 a second: so much waiting is asked for, less what the work itself took."""
    await fill(store, 20, weeks=[1])
    waited = 0.0

    async def note(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    monkeypatch.setattr("activities.compaction.pause", note)
    assert (await compact(store, pace=100)).events == 120
    assert waited > 0.5
    waited = 0.0
    await fill(store, 20, weeks=[1])
    await compact(store)
    assert waited < 0.01


class CutOffError(Exception):
    """The process died here."""


class Dying:
    """A store whose process dies at one call: before it has an effect, or after, when nobody hears of that."""

    def __init__(self, store: BlockStore, dies_at: int, *, after: bool) -> None:
        self._store = store
        self._left = dies_at
        self._after = after
        self.died = False

    async def read(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        return await self._store.read(account_id, first_week, last_week)

    async def ping(self) -> None:
        await self._store.ping()

    async def write(self, blocks: Sequence[Block]) -> None:
        await self._store.write(blocks)

    async def metadata(self, account_id: str) -> list:  # type: ignore[type-arg]
        return await self._store.metadata(account_id)

    async def maintain(self, this_week: int) -> None:
        await self._store.maintain(this_week)

    def ranges(self) -> list[TokenRange]:
        return self._store.ranges()

    async def survey(self, within: TokenRange, first_week: int, last_week: int) -> AsyncIterator[list[WeekSummary]]:
        self._step(after=False)
        async for page in self._store.survey(within, first_week, last_week):
            yield page
            self._step(after=False)

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        self._step(after=False)
        return await self._store.read_exact(account_id, first_week, last_week)

    async def fold(self, folds: Sequence[Fold]) -> None:
        self._step(after=False)
        await self._store.fold(folds)
        self._step(after=True)

    async def accounts(
        self, within: TokenRange, first_week: int, last_week: int, after: str | None = None
    ) -> AsyncIterator[list[str]]:
        async for page in self._store.accounts(within, first_week, last_week, after):
            yield page

    async def erase(self, account_id: str, removed: Mapping[int, Sequence[UUID]], added: Sequence[Block]) -> None:
        await self._store.erase(account_id, removed, added)

    def _step(self, *, after: bool) -> None:
        if after is self._after:
            self._left -= 1
            if self._left == 0:
                self.died = True
                raise CutOffError


@pytest.mark.parametrize("after", [False, True])
async def test_cut_off_at_any_step_it_goes_on_where_it_was(store: BlockStore, after: bool) -> None:
    """Each call in turn is the last one of a process; the next process does the rest."""
    written = await fill(store, 3, weeks=[1, 12])
    deaths = 0
    for dies_at in range(1, 200):
        dying = Dying(store, dies_at, after=after)
        try:
            await compact(dying)
        except ApplicationError:
            deaths += 1
        assert dying.died or deaths == dies_at - 1
        await assert_all_there(store, written)
        if not dying.died:
            break
        for account, events in written.items():  # something to fold for the next round
            events.append(interaction(account_id=account, occurred_at=week_ago(1, seconds=dies_at)))
            await store.write([block(events[-1:])])
    assert deaths >= (1 if after else 6)
    assert not dying.died
    await compact(store)
    for account in written:
        assert [one.sealed for one in await store.read(account, week_of(week_ago(12)), week_of(now_us()))] == [
            True
        ] * 2


@pytest.mark.parametrize("dies_at", [1, 2, 3])
async def test_half_a_fold_is_none(cql_session: CqlSession, monkeypatch: pytest.MonkeyPatch, dies_at: int) -> None:
    """On CQL a fold reads, writes metadata and then the blocks: cut off at each of them."""
    store = await CqlBlockStore.prepared(cql_session)
    written = await fill(store, 1, weeks=[2])
    (account,) = written
    week = week_of(week_ago(2))
    original = CqlSession.execute
    calls = 0

    async def execute(self: CqlSession, *args: Any, profile: Profile) -> list[Row]:
        nonlocal calls
        calls += profile == "write"
        if calls == dies_at:
            raise TransientError("cut off")
        return await original(self, *args, profile=profile)

    with monkeypatch.context() as patch:
        patch.setattr(CqlSession, "execute", execute)
        with pytest.raises(TransientError):
            await fold(store, account, week)
    assert calls == dies_at
    assert len(await store.read(account, week, week)) == 3
    await assert_all_there(store, written)
    await fold(store, account, week)
    assert len(await store.read(account, week, week)) == 1
    await assert_all_there(store, written)


async def test_compactions_beside_writers_lose_nothing(store: BlockStore) -> None:
    written = await fill(store, 10, weeks=[1, 2])
    accounts = list(written)

    async def write() -> None:
        for n in range(150):
            one = interaction(account_id=accounts[n % 10], occurred_at=week_ago(1 + n % 2, seconds=n))
            written[one.account_id].append(one)
            await store.write([block([one])])

    await asyncio.gather(write(), compact(store), compact(store))
    await asyncio.gather(compact(store), compact(store))
    await compact(store)
    await assert_all_there(store, written)
    for account in accounts:
        assert len(await store.read(account, week_of(week_ago(2)), week_of(week_ago(1)))) == 2
