"""What every block store must do. A backend's test module subclasses this and gives the fixture `store`."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.block import encode_block
from domain.interaction import Interaction
from domain.week import to_us, week_of, week_start_us
from store.blocks.history import HistoryRange, read_history
from store.blocks.protocol import Block, BlockStore
from tests.factories import interaction, now_us

_WEEK_US = 7 * 86_400_000_000


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


class BlockStoreContract:
    async def test_an_account_that_does_not_exist_has_no_blocks(self, store: BlockStore) -> None:
        assert await store.read("nobody", 0, week_of(now_us())) == []

    async def test_blocks_come_back_to_the_byte(self, store: BlockStore) -> None:
        blocks = [block([interaction(occurred_at=week_ago(weeks))]) for weeks in (0, 1, 23)]
        blocks.append(block([interaction(account_id="ümlaut / 漢", occurred_at=week_ago(1))]))
        await store.write(blocks)
        assert await store.read("alice", 0, week_of(now_us())) == blocks[:3]
        assert await store.read("ümlaut / 漢", 0, week_of(now_us())) == blocks[3:]

    async def test_writing_a_block_again_changes_nothing(self, store: BlockStore) -> None:
        one = block([interaction()])
        await store.write([one])
        await store.write([one])
        assert await store.read("alice", 0, one.week) == [one]

    async def test_weeks_bound_a_read_on_both_sides(self, store: BlockStore) -> None:
        blocks = [block([interaction(occurred_at=week_ago(weeks))]) for weeks in range(6)]
        await store.write(blocks)
        assert await store.read("alice", blocks[4].week, blocks[2].week) == blocks[2:5]

    async def test_writers_of_one_week_at_once_lose_nothing(self, store: BlockStore) -> None:
        blocks = [block([interaction() for _ in range(3)]) for _ in range(40)]
        await asyncio.gather(*(store.write([one]) for one in blocks))
        written = sorted(one.event_id for each in await self._decoded(store) for one in each)
        assert len(written) == len(set(written)) == 120

    async def _decoded(self, store: BlockStore) -> list[list[Interaction]]:
        return [await history(store, "alice")]

    async def test_a_history_is_newest_first_with_a_stable_order(self, store: BlockStore) -> None:
        same = week_ago(2, seconds=5)
        events = [interaction(occurred_at=week_ago(weeks, seconds=weeks)) for weeks in (0, 1, 3, 10)]
        events += [interaction(occurred_at=same) for _ in range(5)]
        await store.write([block([one]) for one in events])
        expected = sorted(events, key=lambda one: (one.occurred_at, one.event_id), reverse=True)
        assert await history(store, "alice") == expected

    async def test_an_event_in_two_blocks_is_one(self, store: BlockStore) -> None:
        one = interaction()
        await store.write([block([one]), block([one, interaction(occurred_at=one.occurred_at)])])
        assert len(await history(store, "alice")) == 2

    async def test_edges_of_a_range(self, store: BlockStore) -> None:
        start = week_ago(1)
        events = [interaction(occurred_at=start + offset) for offset in (-1, 0, 1, _WEEK_US - 1)]
        for one in events:
            await store.write([block([one])])
        found = await history(store, "alice", from_us=start, to_us=start + _WEEK_US - 1)
        assert [one.occurred_at - start for one in found] == [1, 0]

    async def test_pages_meet_without_gap_or_overlap(self, store: BlockStore) -> None:
        times = [week_ago(0, seconds=0) - n // 3 * 1_000_000_000 for n in range(100)]
        await store.write([block([interaction(occurred_at=time)]) for time in times])
        whole = await history(store, "alice")
        pages: list[Interaction] = []
        while page := await history(
            store, "alice", 7, before=(pages[-1].occurred_at, pages[-1].event_id) if pages else None
        ):
            pages += page
        assert pages == whole
        assert len(whole) == 100

    async def test_types_filter(self, store: BlockStore) -> None:
        await store.write([block([interaction(event_type=one)]) for one in ("view", "purchase", "wave")])
        found = await history(store, "alice", event_types=frozenset({"purchase", "wave"}))
        assert sorted(one.event_type for one in found) == ["purchase", "wave"]

    async def test_the_turn_of_the_year_has_no_seam(self, store: BlockStore) -> None:
        """Weeks either side of New Year, as a reader in January asks for them."""
        days = [datetime(2026, 12, day, 12, tzinfo=UTC) for day in (21, 28, 31)]
        days += [datetime(2027, 1, day, 12, tzinfo=UTC) for day in (1, 4, 11)]
        await store.maintain(week_of(to_us(days[-1])))
        events = [interaction(occurred_at=to_us(day)) for day in days]
        await store.write([block([one]) for one in events])
        found = await history(store, "alice", from_us=to_us(days[0]), to_us=to_us(days[-1]) + 1)
        assert found == events[::-1]

    async def test_ten_thousand_events_in_one_week(self, store: BlockStore) -> None:
        start = week_ago(1)
        for chunk in range(20):
            await store.write([block([interaction(occurred_at=start + chunk * 500 + n) for n in range(500)])])
        found = await history(store, "alice", 2_000)
        assert [one.occurred_at - start for one in found] == list(range(9_999, 7_999, -1))

    async def test_what_is_out_of_keep_goes_and_what_is_in_stays(self, store: BlockStore) -> None:
        this_week = week_of(now_us())
        old, young = interaction(occurred_at=week_ago(0)), interaction(occurred_at=week_ago(0) + 30 * _WEEK_US)
        await store.maintain(this_week + 30)
        await store.write([block([young])])
        await store.write([block([old])])
        await store.maintain(this_week + 24)
        assert len(await store.read("alice", this_week, this_week + 30)) == 2
        await store.maintain(this_week + 24 + 16)
        assert [one.week for one in await store.read("alice", this_week, this_week + 30)] == [this_week + 30]
        await store.maintain(this_week)

    async def test_it_answers(self, store: BlockStore) -> None:
        await store.ping()
