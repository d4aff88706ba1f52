"""What a catalog of a million items takes: the search of its vectors, and the memory of its index and model.

`python -m bench.recommendation_scale [--quick] [--out FOLDER]`. Vectors are clustered as those of taste are: centres,
around each of which items lie, more of them and longer ones where a taste is popular; accounts are mixtures of two.
Uniformly random ones, beside which nothing is near, are the worst there can be, and are told beside them. The model
is made up, of the sizes that a trained one has; it is loaded and asked in a process that does nothing else.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import faiss
import numpy as np
import psutil
import pyarrow as pa
import typer
from threadpoolctl import threadpool_limits

from bench.machine import describe_hardware
from bench.table import Table, kept_tables, write_page
from domain.actions import Action, Hidden
from domain.event_types import load_event_weights
from recommend.actions import read_actions
from recommend.answer import Request
from recommend.arrays import Codes, Floats, floats
from recommend.catalog import catalog_ids, read_items
from recommend.index import InvertedFile
from recommend.linear import Linear
from recommend.model import Model
from recommend.neighbours import Lists
from recommend.parts import Parts
from recommend.planted import plant
from recommend.recommend import recommend
from recommend.shelf import stocked
from recommend.training import TrainingSettings, train

_DIMENSIONS = 128
_WANTED = 100
_QUERIES = 300
_MB = 1e6

Drawn = tuple[Floats, Floats]
"""Vectors of items, and of accounts that look for some."""


def clustered(random: np.random.Generator, items: int, dimensions: int = _DIMENSIONS) -> Drawn:
    tastes = max(2, round(items**0.5))
    centres = random.normal(size=(tastes, dimensions)).astype(np.float32)
    popular = 1 / np.arange(1, tastes + 1) ** 0.5
    taste = random.choice(tastes, items, p=popular / popular.sum())
    vectors = centres[taste] + random.normal(0, 0.7, (items, dimensions)).astype(np.float32)
    vectors *= random.lognormal(0, 0.3, items)[:, None].astype(np.float32)
    mine = random.choice(tastes, (_QUERIES, 2), p=popular / popular.sum())
    share = random.uniform(0.3, 1, _QUERIES)[:, None].astype(np.float32)
    asked = share * centres[mine[:, 0]] + (1 - share) * centres[mine[:, 1]]
    return floats(vectors), floats(asked + random.normal(0, 0.2, asked.shape))


def uniform(random: np.random.Generator, items: int) -> Drawn:
    drawn = random.normal(size=(items + _QUERIES, _DIMENSIONS)).astype(np.float32)
    return drawn[:items], drawn[items:]


def measure_search(table: Table, name: str, drawn: Drawn, targets: tuple[str, str]) -> None:
    vectors, asked = drawn
    started = time.perf_counter()
    index = InvertedFile.build(vectors, os.cpu_count() or 1)
    table.add(f"{name}: building, s", time.perf_counter() - started)
    exact = faiss.IndexFlatIP(_DIMENSIONS)
    exact.add(vectors)
    right = exact.search(asked, _WANTED)[1]
    faiss.omp_set_num_threads(1)
    took, hits = [], 0
    for query, known in zip(asked, right, strict=True):
        started = time.perf_counter()
        found, _ = index.search(vectors, query, _WANTED)
        took.append((time.perf_counter() - started) * 1e3)
        hits += len(np.intersect1d(found, known))
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    table.add(f"{name}: recall@{_WANTED}", hits / right.size, targets[1])
    table.add(f"{name}: search p50, ms", float(np.percentile(took, 50)), targets[0])
    table.add(f"{name}: search p99, ms", float(np.percentile(took, 99)))


def make_model(folder: Path, items: int) -> None:
    """As a trained one is, but for what it says."""
    random = np.random.default_rng(3)
    planted = plant(accounts=500, items=1_000, events=20_000)
    actions = read_actions(planted.actions, load_event_weights(), catalog_ids(planted.items))
    settings = TrainingSettings(questions=500, threads=os.cpu_count() or 1)
    parts, ranker = train(actions, read_items(planted.items, actions.item_ids), settings)
    threads = os.cpu_count() or 1
    place = random.integers(1_000, size=items, dtype=np.int32)
    factors = clustered(random, items, parts.embeddings.item_factors.shape[1])[0] * 0.1
    words = clustered(random, items, parts.content.item_vectors.shape[1])[0]
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    scaled = _scaled(parts, place, random)
    scaled |= {
        "by_embedding": InvertedFile.build(floats(factors), threads),
        "by_content": InvertedFile.build(floats(words), threads),
    }
    scaled["embeddings"] = _replaced(parts.embeddings, item_factors=floats(factors))
    scaled["content"] = _replaced(parts.content, item_vectors=floats(words))
    Model("large", _replaced(parts, **scaled), actions.kinds, ranker, settings.candidates).to_folder(folder)


def _scaled(parts: Parts, place: Codes, random: np.random.Generator) -> dict[str, Any]:
    """Rows of the small shop's items, for as many items as `place` is long; lists of any of these."""
    items = parts.items
    every = np.arange(len(place), dtype=np.int32)
    columns = ("category", "subcategory", "price", "created_us", "is_active", "in_stock")
    table = _replaced(
        items,
        item_ids=pa.array([f"item-{number}" for number in range(len(place))], pa.string()).to_pylist(),
        text=(),
        **{name: getattr(items, name)[place] for name in columns},
    )

    def lists(of: Lists) -> Lists:
        shape = (len(place), of.item.shape[1])
        return Lists(random.integers(len(place), size=shape, dtype=np.int32), of.score[place])

    order = np.argsort(parts.moves.group[place], kind="stable").astype(np.int32)
    groups = len(parts.moves.arriving)
    return {
        "items": table,
        "together": lists(parts.together),
        "then": lists(parts.then),
        "transitions": _replaced(
            parts.transitions,
            leading=parts.transitions.leading[place],
            following=parts.transitions.following[place],
        ),
        "moves": _replaced(
            parts.moves, group=parts.moves.group[place], next=lists(parts.moves.next), left=parts.moves.left[place]
        ),
        "linear": Linear(np.zeros((0, 0), np.float32)),  # A large catalog has none.
        "snapshot": _replaced(
            parts.snapshot,
            features=parts.snapshot.features[place],
            popular=random.permutation(every),
            trending=random.permutation(every)[:1_000],
            by_group=order,
            group_starts=np.searchsorted(parts.moves.group[place][order], np.arange(groups + 1)),
        ),
    }


def _replaced(one: Any, **changes: Any) -> Any:
    """As dataclasses.replace, for classes with slots too."""
    names = [name for name in one.__dataclass_fields__ if one.__dataclass_fields__[name].init]
    return type(one)(**{name: changes.get(name, getattr(one, name)) for name in names})


def _serve(folder: Path, answers: int, told: Connection) -> None:
    """What a recommender process does, told as it goes."""
    process = psutil.Process()

    def memory() -> tuple[float, float]:
        info = process.memory_full_info()
        return info.rss / _MB, info.pss / _MB

    empty = memory()
    started = time.perf_counter()
    model = Model.from_folder(folder)
    shelf = stocked(model, (), model.trained_until_us)
    loaded_s, loaded = time.perf_counter() - started, memory()
    random, took = np.random.default_rng(4), []
    with threadpool_limits(1):
        for _ in range(answers):
            viewed = [
                Action("a", f"item-{one}", "view", model.trained_until_us, b"")
                for one in random.integers(len(model.parts.items), size=30)
            ]
            started = time.perf_counter()
            recommend(model, Request("a"), viewed, Hidden(), model.trained_until_us, shelf=shelf)
            took.append((time.perf_counter() - started) * 1e3)
    told.send((empty, loaded_s, loaded, memory(), took[1:]))


def measure_memory(table: Table, folder: Path, answers: int) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir())
    table.add("files of index and model, GB", size / 1e9, "≤ 1.5")
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, answers, there))
    process.start()
    empty, loaded_s, loaded, after, took = here.recv()
    process.join()
    table.add("loading, s", loaded_s)
    for name, (rss, pss) in (("before loading", empty), ("loaded", loaded), (f"after {answers} answers", after)):
        table.add(f"{name}: RSS, GB", rss / 1e3)
        table.add(f"{name}: PSS, GB", pss / 1e3)
    table.add(
        f"index and model, after {answers} answers: RSS beyond an empty process's, GB",
        (after[0] - empty[0]) / 1e3,
        "≤ 1.5",
    )
    table.add("an answer, one at a time: p50, ms", float(np.percentile(took, 50)))
    table.add("an answer, one at a time: p99, ms", float(np.percentile(took, 99)))


def main(
    quick: Annotated[bool, typer.Option(help="A twentieth of the items.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the page and its figures.")] = None,
    part: Annotated[str, typer.Option(help="search, memory, or both.")] = "both",
) -> None:
    items = 50_000 if quick else 1_000_000
    search, memory = Table(), Table()
    draws: dict[str, Callable[[np.random.Generator, int], Drawn]] = {"clustered": clustered, "uniform": uniform}
    if part != "memory":
        for name, draw in draws.items():
            targets = ("≤ 5", "≥ 0.95") if name == "clustered" else ("", "")
            measure_search(search, name, draw(np.random.default_rng(2), items), targets)
    if part != "search":
        with tempfile.TemporaryDirectory(prefix="footfall-model-") as folder:
            make_model(Path(folder), items)
            measure_memory(memory, Path(folder), 200)
    if out is not None:
        machine = describe_hardware(f"{items:,} items")
        tables = {f"Search in {items:,} vectors of {_DIMENSIONS}": search, "Index and model in memory": memory}
        measured = {heading: table for heading, table in tables.items() if table.values}
        kept = kept_tables(out, "recommendation_scale")
        write_page(out, "recommendation_scale", "A large catalog", machine, {**kept, **measured})


if __name__ == "__main__":
    typer.run(main)
