"""Experiments: how often daily looks mislead and how much they find, and what counting them costs.

`python -m bench.experiments [--runs N] [--out FOLDER]`. Simulated experiments of 60 days go by the sums that the
store keeps, after each day. Beside the sequential test stands one of a fixed size, Welch's: looked at daily where
nothing differs, and at the last day alone where something does, which is where it is right.
"""

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated
from uuid import UUID

import numpy as np
import typer

from activities.count_experiments import CountExperiments
from activities.fan_out import Resources
from api.assignments import Assignments, Exposures, exposure
from bench.machine import describe_hardware
from bench.simulated import ONCE, STEADY, USUAL, Arm, Look, looks, naive_p_value, p_value
from bench.table import Table, write_page
from domain import experiment
from domain.event_types import load_event_weights
from domain.experiment import Experiment, Metric, Plan
from domain.ids import new_id, new_id_bytes
from domain.interaction import Interaction
from domain.outcomes import EXPOSURE, PURCHASE
from domain.recommendations import Answer
from domain.week import date_of, day_of
from intake.backlog import Backlog
from intake.commit import GroupCommit
from intake.dispatch import Dispatcher
from intake.entrance import Entrance
from intake.late import LateEvents
from intake.ledger import LedgerDays, LedgerPartitions, now_us
from intake.log import IntakeLog, IntakeRow, NewInteraction
from migrations.runner import migrate_postgres
from recommend.experiments import assign
from runtime.postgres_server import EmbeddedPostgres
from store.blocks.postgres import PostgresBlockStore
from store.experiments import ExperimentStore
from store.postgres import create_pool
from store.signals_postgres import PostgresSignalStore

_EVEN = Plan("even", [experiment.Arm("control", 50), experiment.Arm("new", 50)])
_UNEVEN = Plan("uneven", [experiment.Arm("control", 95), experiment.Arm("new", 5)])

_SAME: dict[str, tuple[Plan, Arm, Arm]] = {
    "usual: 2,000 accounts an arm come day by day, few buy a lot": (_EVEN, USUAL, USUAL),
    "steady: 1,000 an arm from the first day, all alike": (_EVEN, STEADY, STEADY),
    "once: likewise, and nobody buys twice": (_EVEN, ONCE, ONCE),
    "uneven: 9,500 and 500 come day by day": (
        _UNEVEN,
        Arm(accounts=9_500, purchases_an_account=0.2),
        Arm(accounts=500, purchases_an_account=0.2),
    ),
}
_LIFTS = (1.2, 1.4, 1.6, 2.0)
_METRICS: tuple[Metric, ...] = ("ctr", "conversion", "revenue")
_SOLD: tuple[Metric, ...] = ("conversion", "revenue")
_WELCH = "by Welch's test"

_EVENTS, _BATCHES, _ACCOUNTS = 10_000, 5, 20_000
_AT_ONCE = 8
_ANSWER = Answer("ranked", [], "20261121-020000")
_KINDS = {EXPOSURE: 0.20, "click": 0.03, PURCHASE: 0.03, "view": 0.74}


def measure_same(runs: int) -> Table:
    """The share of experiments in which some day says that the arms differ."""
    table = Table()
    for name, (plan, control, new) in _SAME.items():
        picker = np.random.default_rng(50)
        every = [_first_days(list(looks(picker, plan, control, new)), plan.alpha) for _ in range(runs)]
        for what in every[0]:
            misled = sum(days[what] is not None for days in every)
            table.add(f"{name}; {what}: misled", misled / runs, "" if _WELCH in what else "≤ 0.05")
    return table


def measure_different(runs: int) -> Table:
    """The share of experiments in which it is found that an arm buys more."""
    table = Table()
    for lift in _LIFTS:
        picker, every, at_the_end = np.random.default_rng(51), [], Counter[Metric]()
        more = Arm(USUAL.accounts, USUAL.purchases_an_account * lift)
        for _ in range(runs):
            days = list(looks(picker, _EVEN, USUAL, more))
            every.append(_first_days(days, _EVEN.alpha))
            at_the_end.update(one for one in _SOLD if naive_p_value(days[-1], one) <= _EVEN.alpha)
        for metric in _SOLD:
            found = [day for days in every if (day := days[metric]) is not None]
            what = f"{lift:.1f} times the purchases; {metric}"
            table.add(f"{what}: found within 60 days", len(found) / runs)
            table.add(f"{what}: found on day 60, {_WELCH}", at_the_end[metric] / runs)
            if found:
                table.add(f"{what}: the day on which it is found, mean", sum(found) / len(found))
    return table


def _first_days(days: list[Look], alpha: float) -> dict[str, int | None]:
    """Metric and test → the first day that says that the arms differ, from 1."""
    tests: dict[str, Callable[[Look], float]] = {one: partial(p_value, metric=one) for one in _METRICS}
    tests |= {f"{one}, {_WELCH}": partial(naive_p_value, metric=one) for one in _SOLD}
    return {
        what: next((day for day, look in enumerate(days, 1) if test(look) <= alpha), None)
        for what, test in tests.items()
    }


async def measure_counting(url: str) -> Table:
    """What a batch costs the fan-out: a fifth are answers, three of a hundred clicks and as many purchases."""
    table = Table()
    await migrate_postgres(url)
    async with create_pool(url, name="bench", size=2, timeout_s=60) as pool:
        await LedgerPartitions(pool, 7).make()
        store, log = ExperimentStore(pool), IntakeLog(pool)
        signals = PostgresSignalStore(pool)
        resources = Resources(pool, log, PostgresBlockStore(pool), signals, load_event_weights())
        fan_out = CountExperiments(resources)
        mark = partial(log.mark_alone, fan_out.name)
        for events, batches in ((1, 300), (_EVENTS, _BATCHES)):
            each = await _median(mark, log, [], events, batches)
            table.add(f"a mark and nothing else: ms a batch of {events:,}", each * 1e3)
            each = await _median(fan_out.apply, log, [], events, batches)
            table.add(f"no experiment on: ms a batch of {events:,}", each * 1e3)
        for running in (1, 3):
            while len(await store.running()) < running:
                arms = [experiment.Arm("control", 50), experiment.Arm("new", 50)]
                plan = await store.create(Plan(f"e{new_id().hex[-8:]}", arms))
                await store.start(plan.name, 100)
            each = await _median(fan_out.apply, log, await store.running(), _EVENTS, _BATCHES)
            name = f"{running} experiments on" if running != 1 else "1 experiment on"
            table.add(f"{name}: ms a batch of {_EVENTS:,}", each * 1e3)
            table.add(f"{name}: µs an interaction", each / _EVENTS * 1e6)
    return table


async def measure_recording(url: str) -> Table:
    """What an answer in experiments costs the API beside others: to find the arms, and the exposure behind it."""
    table = Table()
    async with create_pool(url, name="bench", size=2, timeout_s=60) as pool:
        store, log = ExperimentStore(pool), IntakeLog(pool)
        assignments = Assignments(store)
        await assignments.refresh()
        started = time.process_time()
        arms = [assignments.assign(f"account {number}") for number in range(_ACCOUNTS)]
        table.add("an account's arms in 3 experiments: µs", (time.process_time() - started) / _ACCOUNTS * 1e6)
        dispatcher = Dispatcher(_leave, max_events=_EVENTS, max_age_s=0.25, pace_s=0.1, give_up_s=60)
        commit = GroupCommit(log, dispatcher, LateEvents(pool, PostgresBlockStore(pool), 7), max_events=2_000)
        exposures = Exposures(Entrance(commit, Backlog(log, limit_events=10**9)), LedgerDays(7))
        started = time.process_time()
        for number, assigned in enumerate(arms):
            exposures.record(f"account {number}", str(new_id()), "homepage", assigned, _ANSWER)
            if number % _AT_ONCE == 0:
                await exposures.drain()
        await exposures.drain()
        each = (time.process_time() - started) / _ACCOUNTS
        table.add(f"an exposure, {_AT_ONCE} at once: µs of the API's processor time", each * 1e6)
        await dispatcher.drain()
    return table


async def _leave(_batch_id: UUID, _events: int) -> None:
    """Nobody carries the batches."""


async def _median(
    apply: Callable[[Sequence[IntakeRow]], Awaitable[object]],
    log: IntakeLog,
    experiments: list[Experiment],
    events: int,
    batches: int,
) -> float:
    """Seconds that a batch of so many events takes; a first one warms up."""
    took = []
    for _ in range(batches + 1):
        rows = await _batch(log, experiments, events)
        started = time.perf_counter()
        await apply(rows)
        took.append(time.perf_counter() - started)
    return median(took[1:])


async def _batch(log: IntakeLog, experiments: list[Experiment], events: int) -> list[IntakeRow]:
    picker, batch = random.Random(), new_id()
    made = [_one(picker, experiments) for _ in range(events)]
    for at in range(0, events, 2_000):
        part = [NewInteraction(one, date_of(day_of(one.occurred_at))) for one in made[at : at + 2_000]]
        await log.append(batch, part)
    return await log.read(batch)


def _one(picker: random.Random, experiments: list[Experiment]) -> Interaction:
    account = f"account {picker.randrange(_ACCOUNTS)}"
    (kind,) = picker.choices(list(_KINDS), list(_KINDS.values()))
    if kind == EXPOSURE:
        return exposure(account, "r1", "homepage", assign(experiments, account), now_us(), _ANSWER)
    metadata = {"click": '{"recommendation_id":"r1"}', PURCHASE: '{"price":"12.50"}'}.get(kind)
    event_type = "view" if kind == "click" else kind
    return Interaction(new_id_bytes(), account, event_type, "Product", "p1", now_us(), metadata=metadata)


def main(
    runs: Annotated[int, typer.Option(help="Simulated experiments of each kind.")] = 1_000,
    out: Annotated[Path | None, typer.Option(help="Folder for experiments.md and .json.")] = None,
    counting_only: Annotated[bool, typer.Option(help="Leave the simulations out.")] = False,
) -> None:
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "postgres", Path(folder) / "logs")
        postgres.start()
        counting = asyncio.run(measure_counting(postgres.url))
        recording = asyncio.run(measure_recording(postgres.url))
        postgres.stop()
    tables = {"Recording": recording, "Counting": counting}
    if not counting_only:
        same = f"Arms that do not differ, {runs:,} experiments looked at daily for 60 days"
        different = "An arm that buys more, the usual accounts"
        tables = {same: measure_same(runs), different: measure_different(runs // 4), **tables}
    if out is not None:
        write_page(out, "experiments", "Experiments", describe_hardware(), tables)


if __name__ == "__main__":
    typer.run(main)
