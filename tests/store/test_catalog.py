"""The catalog's store: whole replacement, exact values, and changes that come in order."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from domain.catalog import Item, NewItem, NewProfile, Profile
from domain.errors import PermanentError, TransientError
from domain.week import from_us, to_us
from store.catalog import AfterChange, CatalogStore
from store.postgres import Pool
from store.queries import load_queries
from tests.conftest import eventually
from tests.factories import now_us

YEAR_1_US = -62_135_510_400_000_000
QUERIES = load_queries("store", "catalog.sql")


@pytest.fixture
def store(pool: Pool) -> CatalogStore:
    return CatalogStore(pool)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that is no store's."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def new_item(item_id: str = "cup", title: str = "A cup", **fields: Any) -> NewItem:
    return NewItem(item_id=item_id, title=title, **fields)


async def _known(store: CatalogStore, item_id: str = "cup") -> Item:
    found = await store.item(item_id)
    assert found is not None
    return found


async def test_every_field_comes_back_as_it_was(store: CatalogStore) -> None:
    sent = new_item(
        description='"quoted"\\ \n',
        category="kitchen",
        subcategory="cups",
        tags=("white", "{a,b}", 'NULL "x"'),
        price=Decimal("12.50"),
        currency="EUR",
        is_active=False,
        in_stock=False,
        created_at_us=YEAR_1_US,
    )
    before = now_us()
    await store.put_items([sent])
    found = await _known(store)
    assert before - 1_000_000 <= found.changed_at_us <= now_us() + 1_000_000
    assert found == Item(
        item_id="cup", title="A cup", description='"quoted"\\ \n', category="kitchen", subcategory="cups",
        tags=("white", "{a,b}", 'NULL "x"'), price=Decimal("12.50"), currency="EUR", is_active=False, in_stock=False,
        created_at_us=YEAR_1_US, changed_at_us=found.changed_at_us,
    )  # fmt: skip
    profile = NewProfile(
        account_id="alice", preferred_categories=("a", "b"), language="en", country="GB", created_at_us=1_234_567
    )
    await store.put_profiles([profile])
    known = await store.profile("alice")
    assert known is not None
    assert known == Profile(
        account_id="alice", preferred_categories=("a", "b"), language="en", country="GB", created_at_us=1_234_567,
        changed_at_us=known.changed_at_us,
    )  # fmt: skip
    assert await store.item("alice") is None
    assert await store.profile("cup") is None


@pytest.mark.parametrize("price", ["0", "0.000001", "12.5", "12.50", "999999999999999.999999"])
async def test_a_price_keeps_its_digits(store: CatalogStore, price: str) -> None:
    await store.put_items([new_item(price=Decimal("12.500"))])
    await store.put_items([new_item(price=Decimal(price))])
    assert f"{(await _known(store)).price}" == price


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Another"},
        {"description": "d"},
        {"category": "c"},
        {"subcategory": "s"},
        {"tags": ("t",)},
        {"price": Decimal(1)},
        {"currency": "EUR"},
        {"created_at_us": 1},
        {"is_active": False},
        {"in_stock": False},
    ],
)
async def test_an_item_changes_with_any_of_its_fields_and_only_then(
    store: CatalogStore, change: dict[str, Any]
) -> None:
    moments = []
    for fields in ({}, {}, change, change):
        await store.put_items([new_item(**fields)])
        moments.append((await _known(store)).changed_at_us)
    first, same, changed, same_again = moments
    assert first == same < changed == same_again


@pytest.mark.parametrize(
    "change", [{"preferred_categories": ("c",)}, {"language": "en"}, {"country": "GB"}, {"created_at_us": 1}]
)
async def test_a_profile_changes_with_any_of_its_fields_and_only_then(
    store: CatalogStore, change: dict[str, Any]
) -> None:
    moments = []
    for fields in ({}, {}, change, change):
        await store.put_profiles([NewProfile(account_id="alice", **fields)])
        found = await store.profile("alice")
        assert found is not None
        moments.append(found.changed_at_us)
    first, same, changed, same_again = moments
    assert first == same < changed == same_again


async def test_when_it_was_created_stays_where_nobody_says(store: CatalogStore) -> None:
    await store.put_items([new_item()])
    first = (await _known(store)).created_at_us
    await store.put_items([new_item(title="Another")])
    assert (await _known(store)).created_at_us == first
    await store.put_items([new_item(created_at_us=5)])
    await store.delete_item("cup")
    await store.put_items([new_item()])
    found = await _known(store)
    assert (found.created_at_us, found.deleted_at_us, found.is_active) == (5, None, True)


async def test_deleting(store: CatalogStore) -> None:
    await store.put_items([new_item(), new_item("pot")])
    assert await store.delete_item("cup")
    deleted = await _known(store)
    assert (deleted.is_active, deleted.deleted_at_us) == (False, deleted.changed_at_us)
    assert await store.delete_item("cup")
    assert await _known(store) == deleted
    assert (await _known(store, "pot")).is_active
    assert not await store.delete_item("pan")
    assert not await store.delete_profile("alice")


async def test_all_or_none(store: CatalogStore) -> None:
    with pytest.raises(PermanentError):
        await store.put_items([new_item("a"), new_item("b"), new_item("b", "twice")])
    assert await store.items_by_id("", 10) == []


async def test_pages_by_id_have_everything_once(store: CatalogStore) -> None:
    ids = sorted([f"i{n:02}" for n in range(25)] + ["Z", "é", "\N{PILE OF POO}"], key=str.encode)
    await store.put_items([new_item(one) for one in reversed(ids)])
    await store.put_profiles([NewProfile(account_id=one) for one in reversed(ids)])
    await store.delete_item("i03")
    await store.delete_profile("i03")
    items: list[str] = []
    while page := await store.items_by_id(items[-1] if items else "", 4):
        items += [one.item_id for one in page]
    assert items == ids
    accounts: list[str] = []
    while users := await store.profiles_by_id(accounts[-1] if accounts else "", 4):
        accounts += [one.account_id for one in users]
    assert accounts == [one for one in ids if one != "i03"]


async def _all_changes(store: CatalogStore, category: str | None = None) -> list[Item]:
    found: list[Item] = []
    while page := await store.changed_items(3, _behind(found), category=category):
        found += page
    return found


def _behind(found: list[Item]) -> AfterChange | None:
    return AfterChange(from_us(found[-1].changed_at_us), found[-1].item_id) if found else None


async def test_changes_in_pages(store: CatalogStore) -> None:
    await store.put_items([new_item(f"i{n}", category="even" if n % 2 == 0 else "odd") for n in range(10)])
    await store.put_items([new_item("i2", "Another", category="even")])
    await store.delete_item("i0")
    assert [one.item_id for one in await _all_changes(store)] == [f"i{n}" for n in (1, 3, 4, 5, 6, 7, 8, 9, 2, 0)]
    assert [one.item_id for one in await _all_changes(store, "even")] == ["i4", "i6", "i8", "i2", "i0"]
    assert await _all_changes(store, "neither") == []


async def _somebody_waits_for_a_lock(pool: Pool) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def waits() -> None:
        assert await pool.fetchval(waiting) == 1

    await eventually(waits)


async def test_nobody_commits_behind_a_change_that_may_be_seen_already(
    store: CatalogStore, pool: Pool, other: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Somebody else's change is under way: ours waits, lest it be seen first with the later moment."""
    slow = other.transaction()
    await slow.start()
    earlier = await other.fetchval(QUERIES["tick"])
    await other.execute(
        QUERIES["put_items"], '[{"item_id":"slow","title":"x","tags":[],"is_active":true,"in_stock":true}]', earlier
    )
    ours = asyncio.create_task(store.put_items([new_item()]))

    async def waits() -> None:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        assert await pool.fetchval(waiting) == 1

    await eventually(waits)
    assert await store.changed_items(10) == []
    await slow.commit()
    await ours
    assert [one.item_id for one in await store.changed_items(10)] == ["slow", "cup"]


async def test_who_waits_too_long_for_the_changes_of_others_is_told(
    store: CatalogStore, other: "asyncpg.Connection[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one is not kept out by it."""
    slow = other.transaction()
    await slow.start()
    await other.fetchval(QUERIES["tick"])
    first = asyncio.create_task(store.put_items([new_item("first")]))
    await asyncio.sleep(0)
    monkeypatch.setattr("store.catalog._PATIENCE_S", 0.01)
    with pytest.raises(TransientError):
        await store.put_items([new_item("second")])
    await slow.rollback()
    await first
    await store.put_items([new_item("third")])
    assert [one.item_id for one in await store.changed_items(10)] == ["first", "third"]


async def test_a_clock_that_is_set_back_does_not_turn_changes_around(store: CatalogStore, pool: Pool) -> None:
    ahead = now_us() + 3_600_000_000
    await pool.execute("UPDATE catalog_clock SET moment = $1", from_us(ahead))
    for title in ("a", "b"):
        await store.put_items([new_item(title=title)])
    assert (await _known(store)).changed_at_us == ahead + 2


async def test_a_follower_sees_the_last_of_everything(pool: Pool, database_url: str) -> None:
    """Several writers, of several processes as it were, and one who only ever asks for what is behind."""
    writers = [CatalogStore(pool) for _ in range(4)]
    reader = CatalogStore(pool)
    followed: dict[str, str] = {}
    place: AfterChange | None = None

    async def write(store: CatalogStore, number: int) -> None:
        for turn in range(25):
            await store.put_items([new_item(f"i{(number + turn + n) % 12}", f"{number}-{turn}") for n in range(5)])

    async def follow() -> None:
        nonlocal place
        while page := await reader.changed_items(3, place):
            place = AfterChange(from_us(page[-1].changed_at_us), page[-1].item_id)
            followed.update((one.item_id, one.title) for one in page)

    writing = asyncio.gather(*(write(store, number) for number, store in enumerate(writers)))
    while not writing.done():
        await follow()
    await writing
    await follow()
    assert followed == {one.item_id: one.title for one in await reader.items_by_id("", 100)}


async def test_profiles_are_locked_in_one_order_whatever_the_order_sent(
    store: CatalogStore, pool: Pool, other: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Else two who put the same ones would wait for each other."""
    await store.put_profiles([NewProfile(account_id="a"), NewProfile(account_id="z")])
    slow = other.transaction()
    await slow.start()
    touch = "UPDATE account_profile SET language = 'de' WHERE account_id = $1"
    await other.execute(touch, "a")
    ours = asyncio.create_task(store.put_profiles([NewProfile(account_id=one, language="en") for one in ("z", "a")]))
    await _somebody_waits_for_a_lock(pool)
    await other.execute(touch, "z")  # ours is not at it yet
    await slow.commit()
    await ours
    assert [one.language for one in await store.profiles_by_id("", 10)] == ["en", "en"]


@pytest.mark.parametrize(
    ("query", "types", "values", "index"),
    [
        ("changed_items", "timestamptz, text, bigint", "'epoch', '', 10", "item_changed"),
        ("changed_items_of_category", "timestamptz, text, bigint, text", "'epoch', '', 10, 'c1'", "item_category"),
        ("items_by_id", "text, bigint", "'i5', 10", "item_pkey"),
    ],
)
async def test_pages_are_read_by_an_index(
    store: CatalogStore, pool: Pool, query: str, types: str, values: str, index: str
) -> None:
    """Planned as the store's connections have it. Else a page would cost as much as the catalog is large."""
    await store.put_items([new_item(f"i{n}", category=f"c{n % 50}") for n in range(5_000)])
    async with pool.acquire() as connection:
        await connection.execute("ANALYZE item")
        await connection.execute(f"PREPARE page ({types}) AS {QUERIES[query]}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE page({values})"))
    assert f"using {index}" in plan, plan
    assert "Sort" not in plan


def test_the_first_year_is_where_it_is_thought_to_be() -> None:
    assert from_us(YEAR_1_US).year == 1
    assert to_us(from_us(YEAR_1_US)) == YEAR_1_US
