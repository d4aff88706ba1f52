"""What is collected, from blocks on PostgreSQL and in Cassandra: everything once, and nothing twice."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from activities.persist import delta_blocks
from domain.catalog import NewItem, NewProfile
from domain.interaction import Interaction
from intake.log import IntakeRow
from store.artifacts import Artifacts
from store.blocks.cql import CqlBlockStore
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import BlockStore, TokenRange
from store.catalog import CatalogStore
from store.cql import CqlSession
from store.postgres import Pool
from tests.factories import interaction, now_us
from training.collect import ITEMS, PROFILES, collect_actions, collect_catalog, count_actions, fingerprint

_WEEK_US = 7 * 86_400_000_000
_TYPES = ("view", "purchase", "like", "product_impression", "unheard_of")


@pytest.fixture
def postgres_blocks(pool: Pool) -> BlockStore:
    return PostgresBlockStore(pool)


@pytest.fixture
async def cql_blocks(cql_session: CqlSession) -> BlockStore:
    return await CqlBlockStore.prepared(cql_session)


@pytest.fixture(params=["postgres_blocks", "cql_blocks"])
def blocks(request: pytest.FixtureRequest) -> BlockStore:
    store: BlockStore = request.getfixturevalue(request.param)
    return store


class Shop:
    """Accounts of this test's own: in Cassandra others are beside them."""

    def __init__(self, blocks: BlockStore, accounts: int) -> None:
        self._blocks = blocks
        self._mark = uuid4().hex
        self.accounts = [f"{self._mark}-{number}" for number in range(accounts)]

    async def record(self, events: Iterable[Interaction]) -> None:
        for row in ([one] for one in events):  # each in a block of its own, as live traffic leaves them
            await self._blocks.write(list(delta_blocks(IntakeRow(uuid4(), datetime.now(UTC), row))))

    def collected(self, folder: Artifacts) -> list[dict[str, Any]]:
        tables = []
        for name in folder.names():
            if name.startswith("actions-"):
                with folder.open(name) as file:
                    tables.append(pq.read_table(file))
        rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
        return [row for row in rows if row["account_id"].startswith(self._mark)]


def _folder(tmp_path: Path, name: str = "run") -> Artifacts:
    return Artifacts(str(tmp_path / name))


async def _collect(
    blocks: BlockStore,
    folder: Artifacts,
    scratch: Path,
    weeks: int = 24,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    await collect_actions(blocks, folder, scratch, weeks, tell)


async def test_every_action_of_every_account_once_and_in_order(blocks: BlockStore, tmp_path: Path) -> None:
    shop = Shop(blocks, 30)
    start = now_us()
    events = [
        interaction(
            account_id=account,
            event_type=_TYPES[number % len(_TYPES)],
            ref_id=f"p{number}",
            occurred_at=start - (number % 3) * _WEEK_US - number * 1_000,
            session_id=f"s{number}",
        )
        for account in shop.accounts
        for number in range(10)
    ]
    await shop.record([*events, interaction(account_id=shop.accounts[0], ref_type="Category", ref_id="c")])
    folder = _folder(tmp_path)
    await _collect(blocks, folder, tmp_path)
    found = shop.collected(folder)
    wanted = [one for one in events if one.ref_type == "Product"]
    assert sorted(
        (row["account_id"], row["item_id"], row["event_type"], row["occurred_at"]) for row in found
    ) == sorted((one.account_id, one.ref_id, one.event_type, one.occurred_at) for one in wanted)
    for account in shop.accounts:
        moments = [row["occurred_at"] for row in found if row["account_id"] == account]
        assert moments == sorted(moments)
    assert {row["session_id"] for row in found} == {one.session_id for one in wanted}


async def test_only_so_many_weeks(blocks: BlockStore, tmp_path: Path) -> None:
    shop = Shop(blocks, 1)
    await shop.record(
        interaction(account_id=shop.accounts[0], ref_id=f"p{weeks}", occurred_at=now_us() - weeks * _WEEK_US)
        for weeks in range(6)
    )
    folder = _folder(tmp_path)
    await _collect(blocks, folder, tmp_path, weeks=2)
    assert {row["item_id"] for row in shop.collected(folder)} == {"p0", "p1", "p2"}


class _Divided(PostgresBlockStore):
    """In three ranges by their first letter, of which the last can't be read yet."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.there: list[TokenRange] = [TokenRange(0, 1), TokenRange(1, 2), TokenRange(2, 3)]
        self.read_ranges: list[TokenRange] = []
        self.broken: TokenRange | None = self.there[2]

    def ranges(self) -> list[TokenRange]:
        return self.there

    async def accounts(self, within: TokenRange, first_week: int, last_week: int, after: str | None = None) -> Any:
        self.read_ranges.append(within)
        if within == self.broken:
            raise ConnectionError("gone")
        everyone = super().ranges()[0]
        async for page in super().accounts(everyone, first_week, last_week, after):
            yield [account for account in page if account.startswith("abc"[within.start])]


async def test_who_is_cut_off_goes_on_behind_the_last_range_though_the_cluster_grew(
    pool: Pool, tmp_path: Path
) -> None:
    store = _Divided(pool)
    events = [interaction(account_id=account) for account in ("anna", "ben", "carl")]
    await store.write(list(delta_blocks(IntakeRow(uuid4(), datetime.now(UTC), events))))
    folder = _folder(tmp_path)
    with pytest.raises(ConnectionError):
        await _collect(store, folder, tmp_path)
    assert [name for name in folder.names() if name.startswith("actions")] == [
        "actions-0000.parquet",
        "actions-0001.parquet",
    ]
    store.broken = None
    store.read_ranges.clear()
    store.there = [TokenRange(0, 3)]  # as a ring that has other ranges now
    await _collect(store, folder, tmp_path)
    assert store.read_ranges == [TokenRange(2, 3)]
    assert count_actions(folder) == 3


async def test_the_same_data_has_the_same_fingerprint_and_other_data_another(pool: Pool, tmp_path: Path) -> None:
    blocks = PostgresBlockStore(pool)
    shop = Shop(blocks, 3)
    await shop.record(interaction(account_id=account, occurred_at=now_us() - _WEEK_US) for account in shop.accounts)
    first, again, more = (_folder(tmp_path, name) for name in ("first", "again", "more"))
    await _collect(blocks, first, tmp_path)
    await _collect(blocks, again, tmp_path)
    await shop.record([interaction(account_id=shop.accounts[0])])
    await _collect(blocks, more, tmp_path)
    assert fingerprint(first) == fingerprint(again) != fingerprint(more)
    assert (count_actions(first), count_actions(more)) == (3, 4)


async def test_it_says_how_far_it_is(pool: Pool, tmp_path: Path) -> None:
    blocks = PostgresBlockStore(pool)
    events = [interaction(account_id=f"a{number}") for number in range(2_000)]
    await blocks.write(list(delta_blocks(IntakeRow(uuid4(), datetime.now(UTC), events))))
    said: list[str] = []
    await _collect(blocks, _folder(tmp_path), tmp_path, tell=said.append)
    assert said == [f"{count} actions of {count} accounts, range 1 of 1" for count in ("1,000", "2,000")]


async def test_the_catalog_with_what_was_deleted_in_it(pool: Pool, tmp_path: Path) -> None:
    catalog = CatalogStore(pool)
    await catalog.put_items([NewItem(item_id=f"i{number:04}", title="t", tags=("a", "b")) for number in range(1_500)])
    await catalog.delete_item("i0007")
    await catalog.put_profiles([NewProfile(account_id="anna", preferred_categories=("cups",))])
    folder = _folder(tmp_path)
    await collect_catalog(catalog, folder, tmp_path)
    with folder.open(ITEMS) as file:
        items = pq.read_table(file).to_pylist()
    assert [one["item_id"] for one in items] == [f"i{number:04}" for number in range(1_500)]
    assert items[7]["tags"] == ["a", "b"]
    with folder.open(PROFILES) as file:
        assert pq.read_table(file).to_pylist() == [
            {"account_id": "anna", "preferred_categories": ["cups"], "language": None, "country": None}
        ]
