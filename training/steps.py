"""Steps that compute: from the files of a run to further files of it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from domain.event_types import EventWeight
from domain.training import GATE_METRIC
from recommend.actions import ActionTable, read_actions
from recommend.arrays import Floats, Places
from recommend.baselines import popularity
from recommend.catalog import ItemTable, catalog_ids, read_items, with_credible_ages
from recommend.evaluation import Quality, evaluate
from recommend.features import features
from recommend.model import Model
from recommend.parts import Parts, fit_parts
from recommend.questions import is_new_interest, known_items, question
from recommend.ranking import Ranker, load_ranker, save_ranker
from recommend.training import TrainingSettings, candidates_of, learn_to_rank, time_of_share
from serving.current_model import MODEL
from store.artifacts import Artifacts
from training.collect import ITEMS

Figures = dict[str, float]
Step = Callable[[Artifacts, Path, Mapping[str, EventWeight]], Figures]

_RANKER = "ranker"
_TEST_SHARE = 0.05
"""The newest share of the actions, which evaluation asks for and nothing before it has seen."""
_MOST_QUESTIONS = 2_000
_POPULAR_HALF_LIFE_DAYS = 14.0


def learn(run: Artifacts, scratch: Path, weights: Mapping[str, EventWeight]) -> Figures:
    """The ranker: on the newest actions but those of the test, with parts that know only what was before these."""
    actions, items = _read(run, weights)
    seen = actions.before(time_of_share(actions, _TEST_SHARE))
    settings = _settings()
    cut_us = time_of_share(seen, settings.ranked_share)
    parts = fit_parts(seen.before(cut_us), items, cut_us, settings.parts, settings.threads)
    ranker = learn_to_rank(parts, seen, seen.at_us >= cut_us, settings)
    folder = scratch / _RANKER
    save_ranker(ranker, folder)
    _publish(run.folder(_RANKER), folder)
    return {"accounts": len(actions.account_ids), "items": len(items)}


def judge(run: Artifacts, scratch: Path, weights: Mapping[str, EventWeight]) -> Figures:
    """What the ranker, with parts that know all but the test, foretells of it; and popularity beside it."""
    actions, items = _read(run, weights)
    settings, moment_us = _settings(), time_of_share(actions, _TEST_SHARE)
    known, places = actions.before(moment_us), _questions(actions, moment_us)
    parts = fit_parts(known, items, moment_us, settings.parts, settings.threads)
    ranker = load_ranker(run.folder(_RANKER).fetch(scratch / _RANKER))
    ours = evaluate(actions, places, _scores(parts, ranker, actions, settings))
    popular = popularity(known, half_life_days=_POPULAR_HALF_LIFE_DAYS)
    theirs = evaluate(actions, places, lambda some: popular([known_items(actions, place) for place in some]))
    return {"questions": len(places), **_named("", ours), **_named("popularity_", theirs)}


def finish(run: Artifacts, scratch: Path, weights: Mapping[str, EventWeight]) -> Figures:
    """The model that answers: parts that know everything, and the ranker."""
    actions, items = _read(run, weights)
    settings = _settings()
    parts = fit_parts(actions, items, int(actions.at_us.max()) + 1, settings.parts, settings.threads)
    ranker = load_ranker(run.folder(_RANKER).fetch(scratch / _RANKER))
    version = run.url.rsplit("/", 1)[-1]
    folder = scratch / MODEL
    Model(version, parts, actions.kinds, ranker, settings.candidates).to_folder(folder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    _publish(run.folder(MODEL), folder)
    return {"megabytes": size / 1e6}


STEPS: Mapping[str, Step] = {"learn": learn, "judge": judge, "finish": finish}


def _settings() -> TrainingSettings:
    return TrainingSettings(threads=os.cpu_count() or 1)


def _read(run: Artifacts, weights: Mapping[str, EventWeight]) -> tuple[ActionTable, ItemTable]:
    tables = []
    for name in run.names():
        if name.startswith("actions-"):
            with run.open(name) as file:
                tables.append(pq.read_table(file))
    with run.open(ITEMS) as file:
        catalog = pq.read_table(file)
    actions = read_actions(pa.concat_tables(tables).unify_dictionaries(), weights, catalog_ids(catalog))
    return actions, with_credible_ages(read_items(catalog, actions.item_ids), actions)


def _scores(
    parts: Parts, ranker: Ranker, actions: ActionTable, settings: TrainingSettings
) -> Callable[[Places], Floats]:
    """As the recommender scores: what is no candidate has no chance."""

    def score(places: Places) -> Floats:
        rows = np.full((len(places), len(parts.items)), -np.inf, np.float32)
        for row, place in zip(rows, places.tolist(), strict=True):
            asked = question(actions, place)
            found = candidates_of(parts, asked, settings.candidates)
            row[found.item] = ranker.score(features(parts, actions.kinds, asked.history, found, asked.now_us))
        return rows

    return score


def _questions(actions: ActionTable, moment_us: int) -> Places:
    """Of each account what it turned to first from that moment on, new to it or not: people come back to things."""
    places = np.flatnonzero(is_new_interest(actions) & (actions.at_us >= moment_us))
    _, first = np.unique(actions.account[places], return_index=True)
    return np.random.default_rng(0).permutation(places[first])[:_MOST_QUESTIONS]


def _named(prefix: str, quality: Quality) -> Figures:
    return {
        f"{prefix}{GATE_METRIC}": quality.ndcg,
        f"{prefix}hit_rate_at_10": quality.hit_rate,
        f"{prefix}auc": quality.auc,
        f"{prefix}coverage": quality.coverage,
    }


def _publish(there: Artifacts, folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        there.put(file)
