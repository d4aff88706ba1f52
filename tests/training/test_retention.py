"""What stays of former trainings: real folders, a real registry."""

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import ConflictError
from domain.experiment import Arm, Plan
from domain.training import VERSION_FORMAT
from store.artifacts import Artifacts
from store.experiments import ExperimentStore
from store.models import ModelRegistry
from store.postgres import Pool
from training.retention import FAILED_KEPT, NEWEST_KEPT, SCRATCH, Retention

_NOW = datetime.now(UTC).replace(microsecond=0)


def _version(age: timedelta) -> str:
    return (_NOW - age).strftime(VERSION_FORMAT)


def _days_ago(days: int) -> str:
    return _version(timedelta(days=days))


class Trainings:
    """Former ones."""

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool = pool
        self.registry = ModelRegistry(pool)
        self.url = url
        self.there = Artifacts(url)

    def left(self, version: str) -> None:
        """A folder as a training leaves it."""
        run = self.there.folder(version)
        for name in ("actions-0000.parquet", "items.parquet", "collect.json"):
            run.write(name, b"collected")
        run.folder("ranker").write("trees.txt", b"trees")
        run.folder("model").write("model.json", b"{}")

    async def trained(self, *ages: int) -> list[str]:
        """Models of so many days ago."""
        versions = [_days_ago(age) for age in ages]
        for version, age in zip(versions, ages, strict=True):
            self.left(version)
            await self.registry.register(version, f"{self.url}/{version}", "abc", {})
            trained_at = _NOW - timedelta(days=age)
            await self.pool.execute("UPDATE model SET trained_at = $2 WHERE version = $1", version, trained_at)
        return versions

    async def tidy(self) -> tuple[set[str], set[str]]:
        """The models whose files are removed, and the other folders that are."""
        tidied = await Retention(self.registry, self.url).tidy()
        return set(tidied.models), set(tidied.runs)


@pytest.fixture(params=["here", "s3"])
def trainings(request: pytest.FixtureRequest, pool: Pool, tmp_path: Path) -> Trainings:
    here = request.param == "here"
    return Trainings(pool, str(tmp_path) if here else f"{request.getfixturevalue('s3').bucket()}/models")


async def test_what_can_be_switched_to_stays_and_all_else_goes(trainings: Trainings) -> None:
    versions = await trainings.trained(9, 8, 7, 6, 5, 4, 3)
    current, before, in_experiment, ended, *newest = versions
    assert len(newest) == NEWEST_KEPT
    await trainings.registry.activate(before)
    await trainings.registry.activate(current)
    experiments = ExperimentStore(trainings.pool)
    for name, model in (("goes-on", in_experiment), ("over", ended)):
        await experiments.create(Plan(name, [Arm("as-is", 50), Arm("other", 50, model)]))
    await experiments.start("over", 100)
    await experiments.stop("over")
    assert await trainings.tidy() == ({ended}, set())
    assert trainings.there.folders() == sorted({*versions} - {ended})
    assert await trainings.tidy() == (set(), set())


async def test_of_a_model_its_own_files_stay(trainings: Trainings) -> None:
    (version,) = await trainings.trained(0)
    await trainings.tidy()
    run = trainings.there.folder(version)
    assert (run.names(), run.folders()) == ([], ["model"])
    assert run.folder("model").read("model.json") == b"{}"


async def test_nobody_can_switch_to_a_model_without_files(trainings: Trainings) -> None:
    gone, *_ = await trainings.trained(9, 8, 7, 6, 5)
    await trainings.tidy()
    with pytest.raises(ConflictError, match="removed"):
        await trainings.registry.activate(gone)
    assert await trainings.registry.current() is None
    assert {one.version for one in await trainings.registry.newest(10)} >= {gone}


async def test_what_failed_stays_for_a_day(trainings: Trainings) -> None:
    under_way, failed = _version(FAILED_KEPT - timedelta(hours=1)), _version(FAILED_KEPT + timedelta(hours=1))
    for version in (under_way, failed):
        trainings.left(version)
    trainings.there.folder("somebody-elses").write("file", b"")
    assert await trainings.tidy() == (set(), {failed})
    assert trainings.there.folders() == [under_way, "somebody-elses"]
    assert "actions-0000.parquet" in trainings.there.folder(under_way).names()


async def test_scratch_files_of_a_worker_that_was_killed_go_a_day_later(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new, other = (tmp_path / name for name in (f"{SCRATCH}old", f"{SCRATCH}new", "other"))
    for folder, hours in ((old, 25), (new, 23), (other, 25)):
        folder.mkdir()
        (folder / "half.parquet").write_text("half")
        os.utime(folder, (time.time() - hours * 3_600,) * 2)
    await Retention(ModelRegistry(pool), str(tmp_path / "models")).tidy()
    assert (old.exists(), new.exists(), other.exists()) == (False, True, True)


async def test_who_was_cut_off_goes_on(trainings: Trainings) -> None:
    """The registry is told first: whoever looks between the two finds no model whose files are half gone."""
    gone, *_ = await trainings.trained(9, 8, 7, 6)
    assert await trainings.registry.give_up(NEWEST_KEPT) == [gone]
    assert gone in trainings.there.folders()
    await trainings.tidy()
    assert gone not in trainings.there.folders()
