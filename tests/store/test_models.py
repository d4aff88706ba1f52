"""The registry: at most one model is current, and whichever was before can be again."""

import asyncio

import pytest

from domain.errors import ConflictError
from domain.experiment import Arm, Plan
from store.experiments import ExperimentStore
from store.models import ModelRegistry
from store.postgres import Pool


@pytest.fixture
def registry(pool: Pool) -> ModelRegistry:
    return ModelRegistry(pool)


async def _register(registry: ModelRegistry, *versions: str) -> None:
    for version in versions:
        await registry.register(version, f"file:///models/{version}", "abc", {"ndcg_at_10": 0.25})


async def _current(registry: ModelRegistry) -> str | None:
    current = await registry.current()
    return None if current is None else current.version


async def test_a_model_is_a_candidate_until_it_is_switched_to(registry: ModelRegistry) -> None:
    await _register(registry, "a")
    assert await registry.current() is None
    await registry.activate("a", "first of all")
    current = await registry.current()
    assert current is not None
    assert (current.version, current.state, current.reason) == ("a", "current", "first of all")
    assert (current.location, current.metrics) == ("file:///models/a", {"ndcg_at_10": 0.25})
    assert current.activated_at is not None


async def test_the_new_one_takes_the_place_of_the_old_one(registry: ModelRegistry) -> None:
    await _register(registry, "a", "b")
    await registry.activate("a")
    await registry.activate("b")
    assert {one.version: one.state for one in await registry.newest(10)} == {"a": "retired", "b": "current"}


async def test_again_changes_nothing(registry: ModelRegistry) -> None:
    await _register(registry, "a", "a")
    await registry.activate("a")
    before = await registry.current()
    await registry.activate("a", "once more")
    await _register(registry, "a")
    assert await registry.current() == before


async def test_what_is_not_there_leaves_the_current_one(registry: ModelRegistry) -> None:
    await _register(registry, "a")
    await registry.activate("a")
    with pytest.raises(ConflictError, match="no model 'b'"):
        await registry.activate("b")
    assert await _current(registry) == "a"


async def test_back_and_back_again(registry: ModelRegistry) -> None:
    await _register(registry, "a", "b", "refused")
    await registry.refuse("refused", "worse")
    with pytest.raises(ConflictError, match="nothing to go back to"):
        await registry.roll_back("oh no")
    await registry.activate("a")
    await registry.activate("b")
    assert (await registry.roll_back("clicks fell")).version == "a"
    assert await _current(registry) == "a"
    assert (await registry.roll_back("it was not that")).version == "b"


async def test_a_current_model_is_not_refused(registry: ModelRegistry) -> None:
    await _register(registry, "a")
    await registry.activate("a")
    await registry.refuse("a", "too late")
    assert await _current(registry) == "a"


async def test_what_is_served_is_the_current_one_and_what_running_experiments_name(
    registry: ModelRegistry, pool: Pool
) -> None:
    await _register(registry, "a", "b", "c", "d")
    store = ExperimentStore(pool)
    arms = [
        Arm("control", 40, model="a"),
        Arm("new", 30, model="b"),
        Arm("newer", 20, model="not-there"),
        Arm("same", 10),
    ]
    await store.create(Plan("models", arms))
    await registry.activate("c")
    assert [one.version for one in await registry.served()] == ["c"]
    await store.start("models", 5)
    assert [one.version for one in await registry.served()] == ["c", "a", "b"]
    await registry.activate("b")
    assert [one.version for one in await registry.served()] == ["b", "a"]
    await store.stop("models")
    assert [one.version for one in await registry.served()] == ["b"]


async def test_which_of_them_are_known(registry: ModelRegistry) -> None:
    await _register(registry, "a", "b")
    assert await registry.known({"a", "c"}) == {"a"}
    assert await registry.give_up(1) == ["a"]
    assert await registry.known({"a", "b"}) == {"b"}
    assert await registry.known(set()) == set()


async def test_two_who_switch_at_once_leave_one_current(registry: ModelRegistry) -> None:
    versions = [f"m{number}" for number in range(8)]
    await _register(registry, *versions)
    results = await asyncio.gather(*map(registry.activate, versions), return_exceptions=True)
    assert any(result is None for result in results)
    assert sum(one.state == "current" for one in await registry.newest(10)) == 1
