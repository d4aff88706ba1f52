"""Steps that compute: from the files of a run to further files of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from domain.event_types import EventWeight
from recommend.actions import ActionTable, read_actions
from recommend.catalog import ItemTable, catalog_ids, read_items, with_credible_ages
from recommend.model import Model
from recommend.parts import Parts, fit_parts
from recommend.ranking import Ranker, load_ranker, save_ranker
from recommend.training import TrainingSettings, learn_to_rank, time_of_share
from serving.current_model import MODEL
from store.artifacts import Artifacts
from training.collect import ITEMS
from training.judging import judged

Figures = dict[str, float]

_RANKER = "ranker"
_TEST_SHARE = 0.05
"""The newest share of the actions, which evaluation asks for and nothing before it has seen."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a step works with."""

    run: Artifacts
    scratch: Path
    weights: Mapping[str, EventWeight]
    rival: Callable[[], Ranker | None]
    """The ranker of the model that answers now, if there is one that can be compared with."""
    tell: Callable[[str], None]
    """Takes what the step is at, in a few words."""
    settings: TrainingSettings

    def ranker(self) -> Ranker:
        """The one that the run learned."""
        return load_ranker(self.run.folder(_RANKER).fetch(self.scratch / _RANKER))

    def publish(self, folder: Path) -> None:
        for file in sorted(folder.iterdir()):
            self.run.folder(folder.name).put(file)

    def fit(self, actions: ActionTable, items: ItemTable, moment_us: int) -> Parts:
        self.tell(f"fitting vectors and lists on {len(actions):,} actions with {len(items):,} items")
        return fit_parts(actions, items, moment_us, self.settings.parts, self.settings.threads)


def learn(work: Work) -> Figures:
    """The ranker: on the newest actions but those of the test, with parts that know only what was before these."""
    actions, items = _read(work)
    seen = actions.before(time_of_share(actions, _TEST_SHARE))
    cut_us = time_of_share(seen, work.settings.ranked_share)
    parts = work.fit(seen.before(cut_us), items, cut_us)
    work.tell("learning to rank")
    ranker = learn_to_rank(parts, seen, seen.at_us >= cut_us, work.settings)
    save_ranker(ranker, work.scratch / _RANKER)
    work.publish(work.scratch / _RANKER)
    return {"accounts": len(actions.account_ids), "items": len(items)}


def judge(work: Work) -> Figures:
    """What the ranker, with parts that know all but the test, foretells of it; its rivals beside it."""
    actions, items = _read(work)
    moment_us = time_of_share(actions, _TEST_SHARE)
    parts = work.fit(actions.before(moment_us), items, moment_us)
    return judged(parts, actions, moment_us, work.settings.candidates, work.ranker(), work.rival(), work.tell)


def finish(work: Work) -> Figures:
    """The model that answers: parts that know everything, and the ranker."""
    actions, items = _read(work)
    parts = work.fit(actions, items, int(actions.at_us.max()) + 1)
    version = work.run.url.rsplit("/", 1)[-1]
    folder = work.scratch / MODEL
    Model(version, parts, actions.kinds, work.ranker(), work.settings.candidates).to_folder(folder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    work.publish(folder)
    return {"megabytes": size / 1e6}


STEPS: Mapping[str, Callable[[Work], Figures]] = {"learn": learn, "judge": judge, "finish": finish}


def _read(work: Work) -> tuple[ActionTable, ItemTable]:
    work.tell("reading what was collected")
    tables = []
    for name in work.run.names():
        if name.startswith("actions-"):
            with work.run.open(name) as file:
                tables.append(pq.read_table(file))
    with work.run.open(ITEMS) as file:
        catalog = pq.read_table(file)
    actions = read_actions(pa.concat_tables(tables).unify_dictionaries(), work.weights, catalog_ids(catalog))
    return actions, with_credible_ages(read_items(catalog, actions.item_ids), actions)
