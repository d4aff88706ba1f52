"""What an answer costs of processor time, part by part: medians, in one thread and without servers.

`python -m bench.answer_cost --shop FOLDER [--answers N]`: with the shop that bench.recommendations made in FOLDER.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, TypeVar

import typer
from threadpoolctl import threadpool_limits

from bench.recommendation_shop import actions_by_account, made_ready
from domain.actions import Action, Hidden
from recommend.answer import Request
from recommend.features import features
from recommend.model import Model
from recommend.recommend import arrange, explore, known_history, merge_for, shown, sources
from recommend.rules import Rules
from recommend.shelf import Shelf, stocked
from serving.words import worded
from store.signals import now_us

_T = TypeVar("_T")
_WARM = 20


class Costs:
    def __init__(self) -> None:
        self.spent_ns: defaultdict[str, list[int]] = defaultdict(list)
        """Part → of each answer."""

    def of(self, part: str, do: Callable[[], _T]) -> _T:
        before = time.thread_time_ns()
        done = do()
        self.spent_ns[part].append(time.thread_time_ns() - before)
        return done


def answer(costs: Costs, model: Model, shelf: Shelf, account_id: str, actions: list[Action]) -> int:
    """The steps of serving.engine, each with its cost; returns how many candidates were ranked."""
    assert model.ranker is not None
    request, rules, moment_us, hidden = Request(account_id, 20), Rules(), now_us(), Hidden()
    history = costs.of("history", lambda: known_history(model, request, actions, moment_us))
    asked = sources(model, request, history, shelf)
    found = {name: costs.of(f"source {name}", source) for name, source in asked.items()}
    merged = costs.of("merge", lambda: merge_for(model, request, found))
    kept = costs.of("shown", lambda: shown(model, request, history, hidden, merged, rules, shelf))
    rows = costs.of("features", lambda: features(model.parts, model.kinds, history, kept, moment_us))
    scores = costs.of("trees", partial(model.ranker.score, rows))
    chances = costs.of("chances", partial(model.ranker.chance, scores))
    ranked = costs.of("arrange", lambda: arrange(model, history, kept, chances, 20, moment_us, rules))
    items = costs.of("explore", lambda: explore(model, request, history, hidden, ranked, moment_us, rules, shelf))
    costs.of("words", lambda: [worded(one) for one in items])
    return len(kept.item)


def main(
    shop: Annotated[Path, typer.Option(help="Folder that the shop and its model are kept in.")],
    answers: Annotated[int, typer.Option(help="Answers, of as many accounts.")] = 500,
) -> None:
    made = made_ready(shop, 10_000, 10_000, 500_000)
    model = Model.from_folder(shop / "model")
    shelf = stocked(model, (), now_us())
    by_account = actions_by_account(made)
    picked = random.Random(1).sample(list(by_account.items()), answers + _WARM)
    with threadpool_limits(1, "blas"):
        for account_id, actions in picked[:_WARM]:
            answer(Costs(), model, shelf, account_id, actions)
        costs = Costs()
        ranked = sum(answer(costs, model, shelf, account_id, actions) for account_id, actions in picked[_WARM:])
    print(f"{ranked / answers:,.0f} candidates an answer")
    medians_us = {part: median(spent_ns) / 1e3 for part, spent_ns in costs.spent_ns.items()}
    for part, spent_us in sorted(medians_us.items(), key=lambda one: -one[1]):
        print(f"{part:24}{spent_us:8.0f} µs")
    print(f"{'in all':24}{sum(medians_us.values()):8.0f} µs")


if __name__ == "__main__":
    typer.run(main)
