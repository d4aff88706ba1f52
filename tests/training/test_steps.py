"""The steps on a planted shop, one after the other as a run does them, and models that were made bad on purpose."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import lightgbm
import pyarrow.parquet as pq
import pytest

from domain.event_types import load_event_weights
from domain.training import ACTIONS
from recommend.model import Model
from recommend.ranking import Ranker, RankerSettings, load_ranker, save_ranker
from recommend.training import TrainingSettings
from serving.current_model import MODEL
from store.artifacts import Artifacts
from tests.recommend.conftest import Shop, shop
from tests.s3_server import S3Server
from training import steps
from training.collect import ITEMS, actions_file
from training.gate import fault_of

__all__ = ["shop"]

_SETTINGS = TrainingSettings(ranker=RankerSettings(trees=60), questions=600, threads=1)


def _work(url: str, scratch: Path, rival: Ranker | None = None) -> steps.Work:
    return steps.Work(Artifacts(url), scratch, load_event_weights(), lambda: rival, lambda _: None, _SETTINGS)


@dataclass
class Run:
    """A run whose data is collected and whose ranker is learned."""

    folder: Path
    figures: dict[str, float]

    def work(self, scratch: Path, rival: Ranker | None = None) -> steps.Work:
        return _work(str(self.folder), scratch, rival)

    def with_ranker(self, ranker: Ranker, folder: Path) -> "Run":
        """The same data, with another ranker."""
        folder.mkdir()
        for file in self.folder.glob("*.parquet"):
            shutil.copy(file, folder)
        save_ranker(ranker, folder / "ranker")
        return Run(folder, {})


@pytest.fixture(scope="module")
def run(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("runs") / "20260101-000000", {})
    run.folder.mkdir()
    pq.write_table(shop.planted.actions, run.folder / actions_file(0))
    pq.write_table(shop.planted.items, run.folder / ITEMS)
    run.figures = steps.learn(run.work(tmp_path_factory.mktemp("scratch")))
    return run


@pytest.fixture(scope="module")
def ranker(run: Run) -> Ranker:
    return load_ranker(run.folder / "ranker")


def _judged(run: Run, scratch: Path, rival: Ranker | None = None) -> dict[str, float]:
    return {ACTIONS: 30_000, **steps.judge(run.work(scratch, rival))}


def _changed(ranker: Ranker, change: Callable[[float], float]) -> Ranker:
    """A ranker whose trees end in other values."""

    def line(found: re.Match[str]) -> str:
        return "leaf_value=" + " ".join(str(change(float(one))) for one in found[1].split())

    text = re.sub(r"tree_sizes=.*\n", "", ranker.booster.model_to_string())  # in bytes, which change
    text = re.sub(r"leaf_value=(.*)", line, text)
    return replace(ranker, booster=lightgbm.Booster(model_str=text))


def test_what_was_learned_is_ahead_of_popularity_and_passes(run: Run, tmp_path: Path) -> None:
    assert run.figures == {"accounts": 600, "items": 400}
    figures = _judged(run, tmp_path)
    assert figures["questions"] == 100
    assert figures["behind_popularity"] < -3 * figures["behind_popularity_error"]
    assert fault_of(figures, {}) is None


def test_a_ranker_that_has_it_all_upside_down_is_refused(run: Run, ranker: Ranker, tmp_path: Path) -> None:
    bad = run.with_ranker(_changed(ranker, lambda value: -value), tmp_path / "bad")
    fault = fault_of(_judged(bad, tmp_path), {})
    assert fault is not None
    assert "popularity alone" in fault


def test_one_that_is_better_than_popularity_but_worse_than_the_current_one_is_refused(
    run: Run, ranker: Ranker, tmp_path: Path
) -> None:
    """Of one tree: a duller ranker, and no broken one."""
    one_tree = lightgbm.Booster(model_str=ranker.booster.model_to_string(num_iteration=1))
    dull = run.with_ranker(replace(ranker, booster=one_tree), tmp_path / "dull")
    alone = _judged(dull, tmp_path)
    assert fault_of(alone, {}) is None
    fault = fault_of(_judged(dull, tmp_path, rival=ranker), {})
    assert fault is not None
    assert "the current model's ranker" in fault
    assert fault_of(_judged(run, tmp_path, rival=load_ranker(dull.folder / "ranker")), {}) is None


def test_against_itself_a_ranker_is_neither_ahead_nor_behind(run: Run, ranker: Ranker, tmp_path: Path) -> None:
    figures = _judged(run, tmp_path, rival=ranker)
    assert (figures["behind_current"], figures["behind_current_error"]) == (0, 0)
    assert figures["current_ndcg_at_10"] == figures["ndcg_at_10"]
    assert fault_of(figures, {ACTIONS: 30_000}) is None


def test_what_is_finished_is_a_model(run: Run, tmp_path: Path) -> None:
    figures = steps.finish(run.work(tmp_path))
    model = Model.from_folder(run.folder / MODEL)
    assert model.version == run.folder.name
    assert len(model.parts.items) == 400
    size = sum(file.stat().st_size for file in (run.folder / MODEL).iterdir())
    assert figures == {"megabytes": pytest.approx(size / 1e6)}


def test_in_s3_it_is_the_same_model(run: Run, s3: S3Server, tmp_path: Path) -> None:
    there = Artifacts(f"{s3.bucket()}/models/{run.folder.name}")
    for folder, name in ((run.folder, ""), (run.folder / "ranker", "ranker")):
        for file in folder.iterdir():
            if file.is_file():
                (there.folder(name) if name else there).write(file.name, file.read_bytes())
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    steps.finish(run.work(tmp_path / "here"))
    steps.finish(_work(there.url, tmp_path / "there"))
    loaded = there.folder(MODEL).fetch(tmp_path / "cache")
    assert Model.from_folder(loaded).version == run.folder.name
    same = {file.name: file.read_bytes() for file in (run.folder / MODEL).iterdir()}
    assert {file.name: file.read_bytes() for file in loaded.iterdir()} == same
