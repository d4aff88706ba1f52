"""What every block store must do. A backend's test module subclasses this and gives the fixtures.

`store`, and `distant`: a store behind a link that can be held, whose calls give up after DISTANT_TIMEOUT_S.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.block import encode_block
from domain.errors import TransientError
from domain.interaction import Interaction
from domain.week import WEEKS_KEPT, to_us, week_of, week_start_us
from store.blocks.folding import SEALED_EVENTS, fold_week
from store.blocks.history import HistoryRange, read_history
from store.blocks.protocol import Block, BlockStore, WeekSummary
from tests.factories import interaction, now_us
from tests.slow_link import SlowLink

DISTANT_TIMEOUT_S = 0.5
_WEEK_US = 7 * 86_400_000_000


@dataclass(frozen=True)
class Step:
    """One thing done to a store: a write of `number` events, one of the earlier blocks again, or a fold."""

    kind: str
    account: int
    weeks: int
    number: int


_step = st.builds(
    Step,
    kind=st.sampled_from(["write", "write", "again", "fold"]),
    account=st.integers(0, 1),
    weeks=st.sampled_from([0, 1, 7, 8, 22]),
    number=st.integers(1, 12),
)


@dataclass(frozen=True)
class Distant:
    store: BlockStore
    link: SlowLink


def block(interactions: list[Interaction], block_id: UUID | None = None) -> Block:
    first = interactions[0]
    data = encode_block(interactions)
    return Block(first.account_id, week_of(first.occurred_at), block_id or uuid4(), len(interactions), data)


def week_ago(weeks: int, *, seconds: int = 0) -> int:
    """So many seconds into the week that was `weeks` before this one, microseconds since the Unix epoch."""
    return week_start_us(week_of(now_us()) - weeks) + seconds * 1_000_000


async def history(store: BlockStore, account_id: str, limit: int = 2_000, **fields: object) -> list[Interaction]:
    given = {"from_us": week_ago(24), "to_us": now_us() + 1, **fields}
    return await read_history(store, account_id, HistoryRange(**given), limit)  # type: ignore[arg-type]


async def fold(store: BlockStore, account_id: str, week: int) -> None:
    """As compaction does."""
    folded = fold_week(await store.read_exact(account_id, week, week))
    if folded is not None:
        await store.fold([folded])


async def surveyed(store: BlockStore, account_id: str) -> list[WeekSummary]:
    """What a survey over all ranges and weeks says of an account."""
    week = week_of(now_us())
    pages = [store.survey(one, week - WEEKS_KEPT, week) for one in store.ranges()]
    return sorted([one async for page in _chain(pages) for one in page if one.account_id == account_id])


async def _chain(parts: list[AsyncIterator[list[WeekSummary]]]) -> AsyncIterator[list[WeekSummary]]:
    for part in parts:
        async for page in part:
            yield page


def placed(interactions: list[Interaction]) -> list[Interaction]:
    return sorted(interactions, key=lambda one: (one.occurred_at, one.event_id), reverse=True)


def by_id(blocks: list[Block]) -> list[Block]:
    return sorted(blocks, key=lambda one: one.block_id)


class BlockStoreContract:
    @pytest.fixture
    def account(self) -> str:
        """An account that no other test has."""
        return f"ümlaut / 漢 {uuid4()}"

    @pytest.fixture
    def event(self, account: str) -> Callable[..., Interaction]:
        """Makes interactions of this account."""
        return lambda **fields: interaction(account_id=account, **fields)

    # Writing and reading.

    async def test_an_account_that_does_not_exist_has_no_blocks(self, store: BlockStore, account: str) -> None:
        assert await store.read(account, 0, week_of(now_us())) == []
        assert await store.metadata(account) == []

    async def test_blocks_come_back_to_the_byte(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        weeks = range(WEEKS_KEPT)
        blocks = [block([event(occurred_at=week_ago(weeks_ago), metadata="{}")]) for weeks_ago in weeks]
        other = block([interaction(account_id=account + "'", occurred_at=week_ago(1))])
        await store.write([*blocks, other])
        assert await store.read(account, blocks[-1].week, blocks[0].week) == blocks
        assert await store.read(account + "'", other.week, other.week) == [other]

    async def test_writing_a_block_again_changes_nothing(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        one = block([event()])
        await store.write([one])
        await store.write([one, one])
        assert await store.read(account, one.week, one.week) == [one]

    async def test_weeks_bound_a_read_on_both_sides(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        blocks = [block([event(occurred_at=week_ago(weeks))]) for weeks in range(WEEKS_KEPT)]
        await store.write(blocks)
        for newest, oldest in ((2, 4), (0, 0), (5, 5), (0, 23), (7, 16), (3, 2)):
            assert await store.read(account, blocks[oldest].week, blocks[newest].week) == blocks[newest : oldest + 1]

    async def test_many_blocks_at_once(self, store: BlockStore, account: str) -> None:
        """More than one batch, more than one page of rows, some of them large."""
        each = [
            block([interaction(account_id=f"{account}{n % 50}", metadata='"' + "ab"[n % 2] * (n % 20_000) + '"')])
            for n in range(6_000)
        ]
        await store.write(each)
        week = each[0].week
        for number in range(50):
            assert by_id(await store.read(f"{account}{number}", week, week)) == by_id(each[number::50])

    async def test_more_blocks_than_a_page_of_rows(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        each = [block([event()]) for _ in range(5_500)]
        await store.write(each)
        assert by_id(await store.read(account, each[0].week, each[0].week)) == by_id(each)

    async def test_writers_of_one_week_at_once_lose_nothing(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        blocks = [block([event() for _ in range(3)]) for _ in range(40)]
        await asyncio.gather(*(store.write([one]) for one in blocks))
        assert len(await history(store, account)) == 120

    # Histories.

    async def test_a_history_is_newest_first_with_a_stable_order(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        same = week_ago(2, seconds=5)
        events = [event(occurred_at=week_ago(weeks, seconds=weeks)) for weeks in (0, 1, 3, 10)]
        events += [event(occurred_at=same) for _ in range(5)]
        await store.write([block([one]) for one in events])
        assert await history(store, account) == placed(events)

    async def test_an_event_in_two_blocks_is_one(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        one = event()
        await store.write([block([one]), block([one, event(occurred_at=one.occurred_at)])])
        assert len(await history(store, account)) == 2

    async def test_edges_of_a_range(self, store: BlockStore, account: str, event: Callable[..., Interaction]) -> None:
        start = week_ago(1)
        await store.write([block([event(occurred_at=start + offset)]) for offset in (-1, 0, 1, _WEEK_US - 1)])
        found = await history(store, account, from_us=start, to_us=start + _WEEK_US - 1)
        assert [one.occurred_at - start for one in found] == [1, 0]

    async def test_week_24_falls_out(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        """24 weeks back to the microsecond."""
        now = now_us()
        edge = now - WEEKS_KEPT * _WEEK_US
        await store.write([block([event(occurred_at=at)]) for at in (now, edge, edge - 1)])
        found = await history(store, account, from_us=edge, to_us=now + 1)
        assert [one.occurred_at for one in found] == [now, edge]

    async def test_pages_meet_without_gap_or_overlap(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        times = [week_ago(0, seconds=0) - n // 3 * 1_000_000_000 for n in range(100)]
        await store.write([block([event(occurred_at=time)]) for time in times])
        whole = await history(store, account)
        pages: list[Interaction] = []
        while page := await history(
            store, account, 7, before=(pages[-1].occurred_at, pages[-1].event_id) if pages else None
        ):
            pages += page
        assert pages == whole
        assert len(whole) == 100

    async def test_types_filter(self, store: BlockStore, account: str, event: Callable[..., Interaction]) -> None:
        await store.write([block([event(event_type=one)]) for one in ("view", "purchase", "wave")])
        found = await history(store, account, event_types=frozenset({"purchase", "wave"}))
        assert sorted(one.event_type for one in found) == ["purchase", "wave"]

    async def test_the_turn_of_the_year_has_no_seam(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        """Weeks either side of New Year, as a reader in January asks for them."""
        days = [datetime(2026, 12, day, 12, tzinfo=UTC) for day in (21, 28, 31)]
        days += [datetime(2027, 1, day, 12, tzinfo=UTC) for day in (1, 4, 11)]
        await store.maintain(week_of(to_us(days[-1])))
        events = [event(occurred_at=to_us(day)) for day in days]
        await store.write([block([one]) for one in events])
        found = await history(store, account, from_us=to_us(days[0]), to_us=to_us(days[-1]) + 1)
        assert found == events[::-1]

    async def test_ten_thousand_events_in_one_week(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        start = week_ago(1)
        for chunk in range(20):
            await store.write([block([event(occurred_at=start + chunk * 500 + n) for n in range(500)])])
        expected = list(range(9_999, 7_999, -1))
        assert [one.occurred_at - start for one in await history(store, account, 2_000)] == expected
        await fold(store, account, week_of(start))
        assert [one.occurred_at - start for one in await history(store, account, 2_000)] == expected
        assert len(await history(store, account, 20_000)) == 10_000

    # Folding.

    async def test_a_fold_takes_the_place_of_its_blocks(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        events = [event(occurred_at=week_ago(2, seconds=n)) for n in range(30)]
        other = block([event(occurred_at=week_ago(3))])
        week = week_of(events[0].occurred_at)
        await store.write([other, *(block([one]) for one in events)])
        await fold(store, account, week)
        (sealed,) = await store.read(account, week, week)
        assert (sealed.sealed, sealed.event_count) == (True, 30)
        assert await store.read(account, other.week, other.week) == [other]
        assert await history(store, account) == [*placed(events), *await history(store, account, to_us=week_ago(2))]

    async def test_a_delta_that_comes_meanwhile_survives(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        events = [event(occurred_at=week_ago(2, seconds=n)) for n in range(3)]
        week = week_of(events[0].occurred_at)
        await store.write([block([events[0]]), block([events[1]])])
        folded = fold_week(await store.read_exact(account, week, week))
        assert folded is not None
        await store.write([block([events[2]])])
        await store.fold([folded])
        assert await history(store, account) == placed(events)
        assert len(await store.read(account, week, week)) == 2

    async def test_two_compactions_of_one_week_lose_nothing(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        """One saw fewer deltas than the other; whichever ends last, and also when both do the same."""
        events = [event(occurred_at=week_ago(2, seconds=n)) for n in range(4)]
        week = week_of(events[0].occurred_at)
        await store.write([block([events[0]]), block([events[1]])])
        early = fold_week(await store.read_exact(account, week, week))
        await store.write([block([events[2]])])
        late = fold_week(await store.read_exact(account, week, week))
        assert early is not None
        assert late is not None
        await store.fold([late])
        await store.fold([early])
        await store.fold([late])
        assert await history(store, account) == placed(events[:3])
        await store.write([block([events[3]])])
        await fold(store, account, week)
        assert await history(store, account) == placed(events)
        assert len(await store.read(account, week, week)) == 1

    async def test_folds_and_writes_at_once_lose_nothing(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        week = week_of(week_ago(2))
        events = [event(occurred_at=week_ago(2, seconds=n)) for n in range(120)]

        async def write(own: list[Interaction]) -> None:
            for one in own:
                await store.write([block([one])])

        async def compact() -> None:
            for _ in range(15):
                await fold(store, account, week)

        await asyncio.gather(*(write(events[n::4]) for n in range(4)), compact(), compact())
        assert await history(store, account) == placed(events)

    async def test_full_blocks_are_left_alone(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        start = week_ago(2)
        week = week_of(start)
        for chunk in range(3):
            many = [event(occurred_at=start + chunk * 3_000 + n) for n in range(3_000)]
            await store.write([block(many)])
        await fold(store, account, week)
        first = await store.read(account, week, week)
        assert sorted(one.event_count for one in first) == [1_000, SEALED_EVENTS, SEALED_EVENTS]
        await store.write([block([event(occurred_at=start)])])
        await fold(store, account, week)
        second = await store.read(account, week, week)
        assert sorted(one.event_count for one in second) == [1_001, SEALED_EVENTS, SEALED_EVENTS]
        assert {one.block_id for one in first if one.event_count == SEALED_EVENTS} < {one.block_id for one in second}
        assert len(await history(store, account, 20_000)) == 9_001

    async def test_metadata_says_what_a_week_holds(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        events = [event(occurred_at=week_ago(weeks, seconds=n) + n) for weeks in (2, 3) for n in range(5)]
        await store.write([block([one]) for one in events])
        for weeks in (3, 2):
            await fold(store, account, week_of(week_ago(weeks)))
        newest, older = await store.metadata(account)
        assert (newest.week, older.week) == (week_of(week_ago(2)), week_of(week_ago(3)))
        assert (newest.event_count, newest.first_at_us, newest.last_at_us) == (
            5, week_ago(2), week_ago(2, seconds=4) + 4,
        )  # fmt: skip
        (sealed,) = await store.read(account, newest.week, newest.week)
        assert newest.byte_count == len(sealed.data)
        await store.write([block([event(occurred_at=week_ago(2, seconds=9))])])
        await fold(store, account, newest.week)
        assert (await store.metadata(account))[0].event_count == 6

    async def test_a_survey_finds_what_can_be_folded(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        assert await surveyed(store, account) == []
        weeks = [week_of(week_ago(ago)) for ago in (0, 2, 9, 17, 23)]
        for ago in (0, 2, 9, 17, 23):
            await store.write([block([event(occurred_at=week_ago(ago))]) for _ in range(3)])
        assert await surveyed(store, account) == sorted(WeekSummary(account, week, 3, 0, 3) for week in weeks)
        for week in weeks:
            await fold(store, account, week)
        assert await surveyed(store, account) == []
        await store.write([block([event(occurred_at=week_ago(9))])])
        assert await surveyed(store, account) == [WeekSummary(account, weeks[2], 2, 1, 4)]
        (sealed, delta) = sorted(await store.read_exact(account, weeks[2], weeks[2]), key=lambda one: not one.sealed)
        await store.write([replace_sealed(sealed, delta)])
        assert await surveyed(store, account) == [WeekSummary(account, weeks[2], 3, 2, 7)]

    # Accounts.

    async def test_every_account_of_a_range_is_listed_once_in_an_order_that_stays(
        self, store: BlockStore, account: str
    ) -> None:
        accounts = [f"{account} {n}" for n in range(2_500)]
        blocks = [
            block([interaction(account_id=one, occurred_at=week_ago(ago))]) for one in accounts for ago in (1, 20)
        ]
        await store.write(blocks)
        week = week_of(now_us())
        for within in store.ranges():
            listed = [one async for page in store.accounts(within, week - 23, week) for one in page]
            assert len(set(listed)) == len(listed)
            again = [one async for page in store.accounts(within, week - 23, week) for one in page]
            assert again == listed
            for place in {0, len(listed) // 2, len(listed) - 1} if listed else set():
                rest = store.accounts(within, week - 23, week, listed[place])
                assert [one async for page in rest for one in page] == listed[place + 1 :]
        every = [
            one
            for within in store.ranges()
            async for page in store.accounts(within, week - 23, week)
            for one in page
            if one.startswith(account)
        ]
        assert sorted(every) == sorted(accounts)

    async def test_an_account_is_listed_for_any_of_its_weeks(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        await store.write([block([event(occurred_at=week_ago(9))])])
        week = week_of(week_ago(9))
        for weeks in ((week, week), (week - 5, week), (week, week + 5)):
            listed = [
                one for within in store.ranges() async for page in store.accounts(within, *weeks) for one in page
            ]
            assert account in listed

    # Faults.

    async def test_a_write_that_times_out_can_be_sent_again(
        self, distant: Distant, account: str, event: Callable[..., Interaction]
    ) -> None:
        one = block([event()])
        distant.link.hold()
        with pytest.raises(TransientError):
            await distant.store.write([one])
        distant.link.let_go()
        await distant.store.write([one])
        assert await distant.store.read(account, one.week, one.week) == [one]

    async def test_a_fold_that_times_out_can_be_done_again(
        self, distant: Distant, account: str, event: Callable[..., Interaction]
    ) -> None:
        events = [event(occurred_at=week_ago(2, seconds=n)) for n in range(3)]
        await distant.store.write([block([one]) for one in events])
        week = week_of(events[0].occurred_at)
        folded = fold_week(await distant.store.read_exact(account, week, week))
        assert folded is not None
        distant.link.hold()
        with pytest.raises(TransientError):
            await distant.store.fold([folded])
        distant.link.let_go()
        assert await history(distant.store, account) == placed(events)
        await distant.store.fold([folded])
        await fold(distant.store, account, week)
        assert await history(distant.store, account) == placed(events)

    async def test_an_answer_that_comes_late_is_still_the_answer(
        self, distant: Distant, account: str, event: Callable[..., Interaction]
    ) -> None:
        one = block([event()])
        await distant.store.write([one])
        distant.link.hold()
        reading = asyncio.create_task(distant.store.read(account, one.week, one.week))
        await asyncio.sleep(DISTANT_TIMEOUT_S / 3)
        assert not reading.done()
        distant.link.let_go()
        assert await reading == [one]

    async def test_an_answer_that_comes_too_late_is_nobody_elses(
        self, distant: Distant, account: str, event: Callable[..., Interaction]
    ) -> None:
        one = block([event()])
        await distant.store.write([one])
        distant.link.hold()
        with pytest.raises(TransientError):
            await distant.store.read(account, one.week, one.week)
        distant.link.let_go()
        for _ in range(20):
            assert await distant.store.read(f"{account} not there", one.week, one.week) == []
        assert await distant.store.read(account, one.week, one.week) == [one]

    async def test_a_lost_connection_is_made_again(
        self, distant: Distant, account: str, event: Callable[..., Interaction]
    ) -> None:
        one = block([event()])
        await distant.store.write([one])
        distant.link.cut()

        async def again() -> list[Block]:
            try:
                return await distant.store.read(account, one.week, one.week)
            except TransientError as error:
                raise AssertionError from error

        from tests.conftest import eventually  # noqa: PLC0415

        assert await eventually(again) == [one]

    async def test_what_is_erased_is_gone_with_its_metadata_and_nothing_else_is(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        other = f"{account} 2"
        goes = [block([event(occurred_at=week_ago(weeks, seconds=n))]) for weeks in (1, 9) for n in range(3)]
        stays = block([event(occurred_at=week_ago(9, seconds=9))])
        rest = block([event(occurred_at=week_ago(1, seconds=9))])
        of_other = block([interaction(account_id=other, occurred_at=week_ago(1))], goes[0].block_id)
        await store.write([*goes, stays, of_other])
        for weeks in (1, 9):
            await fold(store, account, week_of(week_ago(weeks)))
        await store.write([*goes, stays])  # deltas beside what they were folded into
        found = await store.read_exact(account, 0, 2**31 - 1)
        removed = {
            week: [one.block_id for one in found if one.week == week and one.block_id != stays.block_id]
            for week in {one.week for one in found}
        }
        await store.erase(account, removed, [rest])
        left = await store.read_exact(account, 0, 2**31 - 1)
        assert {one.block_id for one in left} == {rest.block_id, stays.block_id}
        assert await store.metadata(account) == []
        assert await store.read(other, 0, 2**31 - 1) == [of_other]
        await store.erase(account, removed, [rest])  # again
        assert await store.read_exact(account, 0, 2**31 - 1) == left

    async def test_more_blocks_than_one_statement_takes_are_erased(
        self, store: BlockStore, account: str, event: Callable[..., Interaction]
    ) -> None:
        one = block([event(occurred_at=week_ago(1))])
        many = [replace(one, block_id=uuid4()) for _ in range(2_100)]
        await store.write(many)
        await store.erase(account, {one.week: [each.block_id for each in many]}, [])
        assert await store.read_exact(account, one.week, one.week) == []

    async def test_it_answers(self, store: BlockStore) -> None:
        await store.ping()


def replace_sealed(sealed: Block, delta: Block) -> Block:
    """The delta as if another compaction had sealed it together with the sealed block."""
    count = sealed.event_count
    return Block(sealed.account_id, sealed.week, uuid4(), count, delta.data, sealed=True)


model_test = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
any_course = given(steps=st.lists(_step, min_size=1, max_size=25))


async def check_course(store: BlockStore, steps: list[Step]) -> None:
    """Any course of writes, repeated writes and folds reads as a dict of what was written."""
    accounts = [f"{uuid4()}" for _ in range(2)]
    written: list[Block] = []
    model: dict[str, dict[bytes, Interaction]] = {account: {} for account in accounts}
    for step in steps:
        account = accounts[step.account]
        if step.kind == "fold":
            await fold(store, account, week_of(week_ago(step.weeks)))
        elif step.kind == "again" and written:
            await store.write([written[step.number % len(written)]])
        else:
            events = [
                interaction(account_id=account, occurred_at=week_ago(step.weeks, seconds=n % step.number))
                for n in range(step.number)
            ]
            written.append(block(events))
            model[account] |= {one.event_id: one for one in events}
            await store.write(written[-1:])
        for one in accounts:
            expected = placed(list(model[one].values()))
            assert await history(store, one) == expected
            assert await history(store, one, step.number) == expected[: step.number]
