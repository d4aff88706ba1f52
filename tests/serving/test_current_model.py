"""Which models are loaded, and which of them answers: with files that are there, are gone, or are no model."""

import asyncio
import json
from pathlib import Path

import pytest

from domain.errors import TransientError
from domain.experiment import Arm, Plan
from serving.current_model import MODEL, CurrentModel
from store.experiments import ExperimentStore
from store.models import ModelRegistry
from store.postgres import Pool


class Shelves:
    """Stands for a model in memory: what its file says, and how often its shelf was refreshed."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.refreshed = 0

    @staticmethod
    def load(files: Path) -> "Shelves":
        return Shelves(json.loads((files / "said.json").read_text()))

    async def refresh(self) -> None:
        self.refreshed += 1


class Shop:
    """A registry and its folder of models, and experiments that name some."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.registry = ModelRegistry(pool)
        self.experiments = ExperimentStore(pool)
        self.folder = folder
        self.loads: list[str] = []
        self.models = CurrentModel(self.registry.served, self._load, Shelves.refresh, folder / "cache")

    def _load(self, files: Path) -> Shelves:
        self.loads.append(files.parent.name)
        return Shelves.load(files)

    async def train(self, version: str, content: str | None = None) -> None:
        files = self.folder / version / MODEL
        files.mkdir(parents=True, exist_ok=True)
        (files / "said.json").write_text(json.dumps(version) if content is None else content)
        await self.registry.register(version, str(self.folder / version), "abc", {})

    async def start(self, *versions: str) -> None:
        arms = [Arm("control", 100 - 10 * len(versions))]
        arms += [Arm(f"new-{number}", 10, model=version) for number, version in enumerate(versions)]
        await self.experiments.create(Plan("models", arms))
        await self.experiments.start("models", 5)

    def answers(self, version: str | None = None) -> str:
        found = self.models.get(version)
        assert found.version == found.model.said
        return found.version


@pytest.fixture
async def shop(pool: Pool, tmp_path: Path) -> Shop:
    made = Shop(pool, tmp_path)
    for version in ("v1", "v2", "v3"):
        await made.train(version)
    await made.registry.activate("v1")
    return made


async def test_before_a_model_is_there_nothing_answers(shop: Shop) -> None:
    for version in (None, "v1"):
        with pytest.raises(TransientError, match="no model yet"):
            shop.models.get(version)
    await shop.models.follow()
    assert shop.answers() == "v1"


async def test_models_that_a_running_experiment_names_are_there_beside_the_current_one(shop: Shop) -> None:
    await shop.models.follow()
    assert (shop.answers("v2"), shop.loads) == ("v1", ["v1"])
    await shop.start("v2", "v3")
    await shop.models.follow()
    assert [shop.answers(version) for version in (None, "v1", "v2", "v3", "v4")] == ["v1", "v1", "v2", "v3", "v1"]
    before = shop.models.get("v2").model.refreshed
    await shop.models.follow()
    assert (shop.loads, shop.models.get("v2").model.refreshed) == (["v1", "v2", "v3"], before + 1)
    await shop.experiments.stop("models")
    await shop.models.follow()
    assert [shop.answers(version) for version in (None, "v2", "v3")] == ["v1", "v1", "v1"]


async def test_a_switch_loads_nothing_twice(shop: Shop) -> None:
    """The one that was named becomes the current one; the one that was that is named still."""
    await shop.start("v1", "v2")
    await shop.models.follow()
    await shop.registry.activate("v2")
    await shop.models.follow()
    assert [shop.answers(version) for version in (None, "v1", "v2")] == ["v2", "v1", "v2"]
    assert shop.loads == ["v1", "v2"]
    await shop.experiments.stop("models")
    await shop.models.follow()
    assert shop.answers("v1") == "v2"


async def test_what_can_not_be_loaded_leaves_all_others_and_is_not_tried_at_every_look(shop: Shop) -> None:
    await shop.models.follow()
    await shop.train("cut-off", '"cut-')
    await shop.start("cut-off", "v3")
    await shop.registry.activate("v2")
    await shop.models.follow()
    assert [shop.answers(version) for version in (None, "cut-off", "v3")] == ["v2", "v2", "v3"]
    await shop.models.follow()
    assert shop.loads.count("cut-off") == 1


async def test_what_could_not_be_loaded_is_tried_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.current_model._AGAIN_AFTER_S", 0)
    await shop.train("cut-off", '"cut-')
    await shop.start("cut-off")
    await shop.models.follow()
    assert shop.answers("cut-off") == "v1"
    await shop.train("cut-off")
    await shop.models.follow()
    assert shop.answers("cut-off") == "cut-off"


async def test_a_current_model_that_can_not_be_loaded_leaves_the_one_before(shop: Shop) -> None:
    await shop.models.follow()
    before = shop.models.get().model.refreshed
    await shop.train("cut-off", '"cut-')
    await shop.registry.activate("cut-off")
    for _ in range(3):
        await shop.models.follow()
    assert [shop.answers(version) for version in (None, "v1")] == ["v1", "v1"]
    assert shop.models.get().model.refreshed == before + 3


async def test_who_has_got_a_model_goes_on_with_it(shop: Shop) -> None:
    await shop.start("v2")
    await shop.models.follow()
    held = shop.models.get("v2")
    await shop.experiments.stop("models")
    await shop.models.follow()
    assert held.model.said == "v2"


async def test_following_goes_on_after_a_store_was_away(
    shop: Shop, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.current_model._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("serving.current_model._AGAIN_AFTER_S", 0.01)
    await pool.execute("ALTER TABLE model RENAME TO hidden")
    following = asyncio.create_task(shop.models.keep_following())
    await asyncio.sleep(0.1)
    assert not following.done()
    assert not shop.models.has_followed()
    await pool.execute("ALTER TABLE hidden RENAME TO model")
    async with asyncio.timeout(30):
        while True:
            try:
                assert shop.answers() == "v1"
                break
            except TransientError:
                await asyncio.sleep(0.01)
    assert shop.models.has_followed()
    following.cancel()
