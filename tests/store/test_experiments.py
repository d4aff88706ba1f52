"""Experiments: drafts, starts, rollouts that only grow, ends that are for good."""

import asyncio
from datetime import timedelta

import pytest

from domain.errors import ConflictError
from domain.experiment import Arm, Plan
from store.experiments import ExperimentStore
from store.postgres import Pool
from tests.experimenting import PLAN


@pytest.fixture
def store(pool: Pool) -> ExperimentStore:
    return ExperimentStore(pool)


def _plan(name: str, **changes: object) -> Plan:
    return Plan(name, [Arm("control", 50), Arm("new", 50, **changes)])  # type: ignore[arg-type]


async def test_the_life_of_an_experiment(store: ExperimentStore) -> None:
    made = await store.create(PLAN)
    assert (made.state, made.rollout) == ("draft", 0)
    assert await store.of_name(PLAN.name) == made
    assert await store.running() == []
    await store.start(PLAN.name, 5)
    (running,) = await store.running()
    assert (running.plan, running.state, running.rollout) == (PLAN, "running", 5)
    await store.roll_out(PLAN.name, 100)
    assert [one.rollout for one in await store.running()] == [100]
    await store.stop(PLAN.name)
    assert await store.running() == []
    (stopped,) = await store.counted()
    assert stopped.state == "stopped"
    assert stopped.stopped_at is not None
    assert stopped.started_at == running.started_at
    assert stopped.stopped_at - running.created_at < timedelta(minutes=1)


async def test_a_name_is_given_once(store: ExperimentStore) -> None:
    await store.create(PLAN)
    with pytest.raises(ConflictError, match="already"):
        await store.create(_plan(PLAN.name))
    found = await store.of_name(PLAN.name)
    assert found is not None
    assert found.plan == PLAN
    assert await store.of_name("other") is None


async def test_what_does_not_fit_the_state_is_refused(store: ExperimentStore) -> None:
    for act in (store.start(PLAN.name, 5), store.roll_out(PLAN.name, 5), store.stop(PLAN.name)):
        with pytest.raises(ConflictError, match="there is no"):
            await act
    await store.create(PLAN)
    for act in (store.roll_out(PLAN.name, 5), store.stop(PLAN.name)):
        with pytest.raises(ConflictError, match="is draft, not running"):
            await act
    await store.start(PLAN.name, 50)
    with pytest.raises(ConflictError, match="is running, not draft"):
        await store.start(PLAN.name, 60)
    for percent in (5, 50):
        with pytest.raises(ConflictError, match="only grow"):
            await store.roll_out(PLAN.name, percent)
    await store.stop(PLAN.name)
    for act in (store.start(PLAN.name, 60), store.roll_out(PLAN.name, 60), store.stop(PLAN.name)):
        with pytest.raises(ConflictError, match="is stopped"):
            await act


async def test_two_that_change_the_same_do_not_run_at_once(store: ExperimentStore) -> None:
    for plan in (
        _plan("models", model="v2"),
        _plan("models-too", model="v3"),
        _plan("rules", rules={"freshness": 1}),
    ):
        await store.create(plan)
    await store.start("models", 5)
    await store.start("rules", 5)
    with pytest.raises(ConflictError, match="'models' is running and changes model too"):
        await store.start("models-too", 5)
    await store.stop("models")
    await store.start("models-too", 5)
    assert [one.name for one in await store.running()] == ["rules", "models-too"]


async def test_of_two_that_change_the_same_and_start_at_the_same_time_one_does(store: ExperimentStore) -> None:
    names = [f"models-{number}" for number in range(6)]
    for name in names:
        await store.create(_plan(name, model="v2"))
    results = await asyncio.gather(*(store.start(name, 5) for name in names), return_exceptions=True)
    assert sorted(isinstance(one, ConflictError) for one in results) == [False] + [True] * 5
    assert len(await store.running()) == 1


async def test_pages_are_the_newest_first_and_of_a_state(store: ExperimentStore) -> None:
    names = [f"e{number}" for number in range(5)]
    for name in names:
        await store.create(_plan(name))
    await store.start("e1", 5)
    await store.start("e3", 5)
    await store.stop("e3")
    first = await store.newest(3)
    rest = await store.newest(3, (first[-1].created_at, first[-1].name))
    assert [one.name for one in (*first, *rest)] == names[::-1]
    assert [one.name for one in await store.newest(9, state="draft")] == ["e4", "e2", "e0"]
    assert [one.name for one in await store.newest(9, state="running")] == ["e1"]
    assert [one.name for one in await store.newest(9, state="stopped")] == ["e3"]


async def test_one_that_ended_counts_for_a_week(store: ExperimentStore, pool: Pool) -> None:
    await store.create(PLAN)
    assert await store.counted() == []
    await store.start(PLAN.name, 5)
    await store.stop(PLAN.name)
    for days, counted in ((6.9, 1), (7.1, 0)):
        ago = timedelta(days=days)
        await pool.execute(
            "UPDATE experiment SET started_at = now() - $1::interval, stopped_at = now() - $1::interval", ago
        )
        assert len(await store.counted()) == counted
