"""How well the recommender foretells what accounts turn to next, beside the strongest cheap recommenders.

`python -m bench.recommend_quality [--quick] [--accounts 10000] [--seed 2] [--part planted|costs|movielens]
[--movielens PATH] [--out FOLDER]`

In a planted shop everything from one moment on is kept back. Asked is for every item that is new to its account
since then, and for each account's first one, with all that the account did before it for its history. Of
MovieLens-100k, a folder or zip with u.data and u.item, the last item of each user is kept back. All items that the
account has not dealt with are ranked. Baselines are tuned on the last new items of what is known; nothing is chosen
by what is kept back. The constants of `recommend/` were chosen on shops of seed 1.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from threadpoolctl import threadpool_limits

from bench.machine import describe_hardware
from bench.recommend_data import Observer, Shop, movielens_shop, oracle_scores, planted_shop
from bench.table import Table, kept_tables, write_page
from recommend.actions import ActionTable
from recommend.arrays import Floats, Places
from recommend.baselines import BASELINES, asking, tuned
from recommend.candidates import Candidates
from recommend.evaluation import after, evaluate, every_new_after, last_new_items
from recommend.features import features
from recommend.history import History
from recommend.kinds import Kinds
from recommend.model import Model
from recommend.parts import Parts
from recommend.questions import question
from recommend.ranking import Ranker
from recommend.training import TrainingSettings, candidates_of, time_of_share, train

_PAGE = "recommend_quality"
_TEST_SHARE = 0.1
_RANKED = 1_000
_REPEATS = 200

_Scorer = Callable[[Places], Floats]


class Part(StrEnum):
    planted = "planted"
    costs = "costs"
    movielens = "movielens"


@dataclass(frozen=True, slots=True)
class Size:
    accounts: int
    """And as many items, and fifty events to each."""
    questions: int

    @property
    def events(self) -> int:
        return 50 * self.accounts

    def __str__(self) -> str:
        return f"{self.accounts:,} accounts, {self.accounts:,} items, {self.events:,} events"


_QUESTIONS = 1_500
_QUICK = Size(600, 300)


def planted(size: Size, settings: TrainingSettings, seed: int) -> dict[str, Table]:
    shop = planted_shop(size.accounts, size.accounts, size.events, seed)
    actions, moment_us = shop.actions, time_of_share(shop.actions, _TEST_SHARE)
    known = actions.before(moment_us)
    luck = np.random.default_rng(0)
    asked = {
        "every new item": luck.permutation(every_new_after(actions, moment_us))[: size.questions],
        "the first new item of each account": luck.permutation(after(actions, moment_us).places)[: size.questions],
    }
    model, _ = _trained(known, shop, settings)
    scorers: dict[str, _Scorer] = {
        "oracle of all laws": partial(oracle_scores, shop, knows_companions=True),
        "oracle of the tastes": partial(oracle_scores, shop, knows_companions=False),
        "told of items, not of accounts": Observer(shop, known).scores,
        "this recommender": _ours(model.parts, _ranker(model), actions, settings),
        **_baselines(known, actions),
    }
    return {f"Planted shop of {size}: {name}": _compared(actions, places, scorers) for name, places in asked.items()}


def costs(size: Size, settings: TrainingSettings, seed: int) -> dict[str, Table]:
    """Of training on the same shop, and of answers."""
    shop = planted_shop(size.accounts, size.accounts, size.events, seed)
    moment_us = time_of_share(shop.actions, _TEST_SHARE)
    model, training = _trained(shop.actions.before(moment_us), shop, settings)
    return {
        f"Training and serving, {size}": _costs(
            model, shop.actions, every_new_after(shop.actions, moment_us), training
        )
    }


def movielens_100k(path: Path, settings: TrainingSettings, questions: int | None) -> dict[str, Table]:
    shop = movielens_shop(path)
    split = last_new_items(shop.actions)
    places = np.random.default_rng(0).permutation(split.places)[:questions]
    model, _ = _trained(split.known, shop, settings)
    scorers = {
        "this recommender": _ours(model.parts, _ranker(model), shop.actions, settings),
        **_baselines(split.known, shop.actions),
    }
    return {"MovieLens-100k": _compared(shop.actions, places, scorers)}


def _ranker(model: Model) -> Ranker:
    assert model.ranker is not None
    return model.ranker


def _trained(known: ActionTable, shop: Shop, settings: TrainingSettings) -> tuple[Model, tuple[float, float]]:
    """And how many seconds training took, from actions in memory to a model that can answer: by the clock, of CPU."""
    started, started_cpu = time.perf_counter(), time.process_time()
    parts, ranker = train(known, shop.items, settings)
    seconds = time.perf_counter() - started, time.process_time() - started_cpu
    print(f"trained in {seconds[0]:.0f} s, {seconds[1]:.0f} s of CPU", flush=True)
    return Model("bench", parts, known.kinds, ranker, settings.candidates), seconds


def _ours(parts: Parts, ranker: Ranker, actions: ActionTable, settings: TrainingSettings) -> _Scorer:
    """As the recommender scores: what is no candidate has no chance."""

    def score(places: Places) -> Floats:
        rows = np.full((len(places), len(parts.items)), -np.inf, np.float32)
        for row, place in zip(rows, places.tolist(), strict=True):
            asked = question(actions, place)
            found = candidates_of(parts, asked, settings.candidates)
            row[found.item] = ranker.score(features(parts, actions.kinds, asked.history, found, asked.now_us))
        return rows

    return score


def _baselines(known: ActionTable, actions: ActionTable) -> dict[str, _Scorer]:
    scorers: dict[str, _Scorer] = {}
    for baseline in BASELINES:
        started = time.perf_counter()
        variant, scorer = tuned(baseline, known)
        print(f"{baseline.name}: {dict(variant)}, tuned in {time.perf_counter() - started:.0f} s", flush=True)
        scorers[baseline.name] = asking(scorer, actions)
    return scorers


def _compared(actions: ActionTable, places: Places, scorers: Mapping[str, _Scorer]) -> Table:
    table = Table()
    table.add("questions", len(places))
    found = {name: evaluate(actions, places, scorer) for name, scorer in scorers.items()}
    for name, quality in found.items():
        table.add(f"{name}: HR@10", quality.hit_rate, digits=4)
        table.add(f"{name}: NDCG@10", quality.ndcg, digits=4)
        table.add(f"{name}: AUC", quality.auc, "≥ 0.85" if name == "this recommender" else "", digits=4)
        table.add(f"{name}: share of items shown", quality.coverage)
    ours = found["this recommender"]
    best = [found[baseline.name] for baseline in BASELINES]
    target = "≥ 1" if "oracle of all laws" in found else "≥ 1.1"
    table.add("NDCG@10 by the best baseline's", ours.ndcg / max(one.ndcg for one in best), target)
    table.add("HR@10 by the best baseline's", ours.hit_rate / max(one.hit_rate for one in best), target)
    for name in ("oracle of the tastes", "oracle of all laws"):
        if name in found:
            table.add(f"NDCG@10 by that of the {name}", ours.ndcg / found[name].ndcg, "≥ 0.95", digits=3)
    return table


def _costs(model: Model, actions: ActionTable, places: Places, training: tuple[float, float]) -> Table:
    """One thread. The time of features and ranking is of `_RANKED` candidates, the median of many questions."""
    table = Table()
    table.add("training, s", training[0], "≤ 180")
    table.add("training, s of CPU", training[1])
    found, ranked = [], []
    for place in places[:_REPEATS].tolist():
        asked = question(actions, place)
        started = time.perf_counter()
        candidates = candidates_of(model.parts, asked, model.candidates)
        found.append(time.perf_counter() - started)
        padded = candidates.only(np.resize(np.arange(len(candidates.item)), _RANKED))
        ranked.append(_seconds(model, actions.kinds, asked.history, padded, asked.now_us))
    table.add("candidates, ms", float(np.median(found)) * 1e3)
    table.add(f"features and ranking of {_RANKED:,} candidates, ms", float(np.median(ranked)) * 1e3, "≤ 6")
    return table


def _seconds(model: Model, kinds: Kinds, history: History, candidates: Candidates, now_us: int) -> float:
    started, ranker = time.perf_counter(), _ranker(model)
    ranker.chance(ranker.score(features(model.parts, kinds, history, candidates, now_us)))
    return time.perf_counter() - started


def main(
    *,
    quick: Annotated[bool, typer.Option(help="A small shop, few questions.")] = False,
    part: Annotated[Part | None, typer.Option(help="Only this one; the others' figures on the page stay.")] = None,
    movielens: Annotated[Path | None, typer.Option(help="MovieLens-100k: its folder or zip.")] = None,
    accounts: Annotated[
        int, typer.Option(help="Of the planted shop; as many items, and fifty events to each.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the planted shop; constants were chosen on 1.")] = 2,
    threads: Annotated[int, typer.Option(help="Of training.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for the page and the figures.")] = None,
) -> None:
    settings = TrainingSettings(threads=threads)
    size = _QUICK if quick else Size(accounts, _QUESTIONS)
    tables: dict[str, Table] = {}
    threadpool_limits(
        1, "blas"
    )  # As the recommender has it: products are small, and threads would wait for each other.
    if part in (None, Part.planted):
        tables |= planted(size, settings, seed)
    if part in (None, Part.costs):
        tables |= costs(size, settings, seed)
    if movielens is not None and part in (None, Part.movielens):
        tables |= movielens_100k(movielens, replace(settings, split="last"), _QUICK.questions if quick else None)
    if out is not None:
        kept = {} if part is None else kept_tables(out, _PAGE)
        write_page(out, _PAGE, "Quality of recommendations", describe_hardware(), kept | tables)


if __name__ == "__main__":
    typer.run(main)
