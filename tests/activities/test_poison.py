"""Poison: an interaction that a fan-out can't apply holds back no other, is kept with its reason, counts nowhere."""

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import FAN_OUTS
from activities.batches import BatchReader
from activities.fan_out import FanOut, Resources, fan_out_activity
from activities.persist import Persist
from activities.poison import find_poison
from activities.popularity import Popularity
from activities.publish import Publish
from domain.batch import FanOutInput, FanOutResult
from domain.errors import PermanentError, TransientError
from domain.event_types import load_event_weights
from domain.ids import new_id
from domain.interaction import Interaction, decode_interactions
from intake.log import IntakeLog, NewInteraction
from store.blocks.postgres import PostgresBlockStore
from store.popularity import PopularityStore
from store.postgres import Pool
from store.signals_postgres import PostgresSignalStore
from tests.factories import interaction, new_interaction

_UNPUBLISHED = [kind for kind in FAN_OUTS if kind is not Publish]


@pytest.fixture
def resources(pool: Pool) -> Resources:
    return Resources(pool, IntakeLog(pool), PostgresBlockStore(pool), PostgresSignalStore(pool), load_event_weights())


@pytest.fixture
async def refusing(pool: Pool) -> None:
    """The products' table refuses some: what an operator's constraint, or a bug that some values meet, would do."""
    await pool.execute("ALTER TABLE product_popularity ADD CHECK (NOT starts_with(product_id, 'poison'))")


async def _batch(log: IntakeLog, *rows: Sequence[NewInteraction]) -> UUID:
    batch = new_id()
    for events in rows:
        await log.append(batch, events)
    return batch


async def _run(kind: type[FanOut], resources: Resources, batch: UUID) -> FanOutResult:
    run = fan_out_activity(kind(resources), BatchReader(resources.log), resources.log)
    result = await ActivityEnvironment().run(run, FanOutInput(batch))
    assert isinstance(result, FanOutResult)
    return result


def _products(*names: str) -> list[NewInteraction]:
    return [new_interaction(ref_id=name) for name in names]


async def _counted(pool: Pool) -> dict[str, int]:
    totals = await pool.fetch("SELECT product_id, view_count FROM product_popularity")
    daily = await pool.fetch("SELECT product_id, sum(view_count) FROM product_popularity_daily GROUP BY 1")
    assert {tuple(row) for row in totals} == {tuple(row) for row in daily}
    return {row["product_id"]: row["view_count"] for row in totals}


@pytest.mark.usefixtures("refusing")
async def test_the_rest_of_the_batch_goes_through(resources: Resources, pool: Pool) -> None:
    log = resources.log
    batch = await _batch(log, _products("cup", "poison", "pot"), _products("cup"), _products("poison 2", "cup"))
    result = await _run(Popularity, resources, batch)
    assert (result.events, result.applied_rows, result.quarantined) == (6, 3, 2)
    assert await _counted(pool) == {"cup": 3, "pot": 1}
    kept = await pool.fetch("SELECT * FROM quarantine ORDER BY reason, intake_id")
    assert [(one["fan_out"], one["batch_id"], one["account_id"]) for one in kept] == [
        ("popularity", batch, "alice")
    ] * 2
    assert all("violates check constraint" in one["reason"] for one in kept)
    events = [event for one in kept for event in decode_interactions(one["interaction"])]
    assert sorted(one.ref_id for one in events) == ["poison", "poison 2"]
    assert [one.event_id for one in events] == [one["event_id"].bytes for one in kept]
    assert (await _run(Popularity, resources, batch)).applied_rows == 0
    for kind in _UNPUBLISHED:
        await _run(kind, resources, batch)
    assert (await log.release(batch, [kind.name for kind in _UNPUBLISHED])).released_rows == 3


@pytest.mark.usefixtures("refusing")
async def test_a_row_that_was_applied_before_is_not_searched(resources: Resources, pool: Pool) -> None:
    batch = await _batch(resources.log, _products("cup"), _products("poison", "pot"))
    await Popularity(resources).apply((await resources.log.read(batch))[:1])
    assert (await _run(Popularity, resources, batch)).applied_rows == 1
    assert await _counted(pool) == {"cup": 1, "pot": 1}


@pytest.mark.usefixtures("refusing")
async def test_without_the_commit_nothing_is_in_quarantine(
    resources: Resources, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is mended meanwhile would be counted and stay in quarantine, to be counted again."""
    batch = await _batch(resources.log, _products("cup", "poison", "pot"))
    add = PopularityStore.add

    async def add_and_fail(store: PopularityStore, connection: object, deltas: dict[object, object]) -> None:
        await add(store, connection, deltas)  # type: ignore[arg-type]
        if len(deltas) == 2 and await pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE relation = 'applied'::regclass"
        ):
            raise TransientError("lost after the write, before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(PopularityStore, "add", add_and_fail)
        with pytest.raises(ApplicationError, match="before the commit"):
            await _run(Popularity, resources, batch)
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0
    assert await _counted(pool) == {}
    await pool.execute("ALTER TABLE product_popularity DROP CONSTRAINT product_popularity_product_id_check")
    await _run(Popularity, resources, batch)
    assert await _counted(pool) == {"cup": 1, "poison": 1, "pot": 1}


async def test_a_table_that_is_gone_is_not_poison(resources: Resources, pool: Pool) -> None:
    batch = await _batch(resources.log, _products(*(f"p{n}" for n in range(60))))
    await pool.execute("ALTER TABLE product_popularity RENAME TO hidden")
    with pytest.raises(ApplicationError, match="product_popularity") as raised:
        await _run(Popularity, resources, batch)
    assert raised.value.non_retryable
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0


@pytest.mark.usefixtures("refusing")
async def test_a_batch_of_poison_alone_is_left_to_an_operator(resources: Resources, pool: Pool) -> None:
    batch = await _batch(resources.log, _products("poison"))
    with pytest.raises(ApplicationError, match="check constraint"):
        await _run(Popularity, resources, batch)
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_what_no_block_can_hold_is_poison_to_persist(resources: Resources) -> None:
    probe = Persist(resources).probe
    fine, poison = interaction(), interaction(account_number=2**64)
    assert [one.interaction for one in await find_poison(probe, [fine, poison])] == [poison]


@pytest.mark.parametrize("kind", _UNPUBLISHED)
async def test_a_probe_leaves_nothing_behind(kind: type[FanOut], resources: Resources, pool: Pool) -> None:
    await kind(resources).probe([one.interaction for one in _products("cup", "pot")])
    for table in (
        "product_popularity",
        "product_popularity_daily",
        "interaction_block",
        "recent_signal",
        "lasting_signal",
        "applied",
    ):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table


def _failing(fails: Callable[[Sequence[Interaction]], bool]) -> Callable[[Sequence[Interaction]], object]:
    async def probe(part: Sequence[Interaction]) -> None:
        if fails(part):
            raise PermanentError("no")

    return probe


@given(st.integers(1, 300), st.data())
async def test_exactly_the_poison_is_found(count: int, data: st.DataObject) -> None:
    interactions = [interaction(ref_id=str(n)) for n in range(count)]
    fine = data.draw(st.integers(0, count - 1))
    poison = data.draw(st.sets(st.integers(0, count - 1).filter(lambda n: n != fine), max_size=40))
    ids = {interactions[n].event_id for n in poison}
    probe = _failing(lambda part: any(one.event_id in ids for one in part))
    found = await find_poison(probe, interactions)  # type: ignore[arg-type]
    assert {one.interaction.event_id for one in found} in ({}.keys(), ids)
    if count <= 20:  # all of them are tried by themselves: one that passes is seen
        assert {one.interaction.event_id for one in found} == ids


async def test_what_fails_only_together_is_not_poison() -> None:
    interactions = [interaction() for _ in range(8)]
    assert await find_poison(_failing(lambda part: len(part) > 5), interactions) == []  # type: ignore[arg-type]


async def test_a_store_that_is_away_ends_the_search() -> None:
    async def probe(part: Sequence[Interaction]) -> None:
        raise TransientError("away")

    with pytest.raises(TransientError):
        await find_poison(probe, [interaction(), interaction()])
