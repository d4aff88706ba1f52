"""Footfall beside other ways to the same counts, in one run: `python -m bench.compare [--quick] [--out FOLDER]`.

Round after round each system is started, warmed, loaded and stopped, so that none works while another is measured and
what the machine does at a time hits all of them. Figures are medians with their spread; ratios are of the same round.
Every interaction that was answered with success has to be in the system's counts in the end, once: else there are no
figures.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from bench.comparison import front, reads, rest
from bench.comparison.closed import Bench, Tally
from bench.comparison.figures import LOADS, ONE_A_REQUEST, Load, Plan, Report
from bench.comparison.limits import limits
from bench.comparison.memory import memory
from bench.comparison.page import page, write
from bench.machine import describe_hardware
from bench.peers.footfall import footfall, footfall_2, footfall_cassandra
from bench.peers.restate_peer import VERSION as RESTATE_VERSION
from bench.peers.restate_peer import restate, restate_default
from bench.peers.system import Running
from bench.peers.temporal_peer import temporal_a_request
from bench.stack import data_folder
from domain.week import WEEKS_PER_PARTITION
from runtime.cassandra.jars import VERSION as CASSANDRA_VERSION
from runtime.temporal_binary import VERSION as TEMPORAL_VERSION

SYSTEMS = {
    "footfall": footfall,
    "footfall_2": footfall_2,
    "footfall_cassandra": footfall_cassandra,
    "restate": restate,
    "restate_default": restate_default,
    "temporal": temporal_a_request,
}
_QUICK_SYSTEMS = ("footfall", "footfall_2", "restate", "temporal")
_QUICK = Plan(1, 1.2, 0.5, 6, 2, 50_000, 4, 50_000)
_MORE_OF_ITS_OWN = 3
"""Times the probes of the others, for Footfall, whose figure is held against a target."""

Systems = Mapping[str, Callable[[Path], AbstractContextManager[Running]]]


class Comparison:
    def __init__(self, folder: Path, plan: Plan, systems: Systems) -> None:
        self._folder = folder
        self._plan = plan
        self._systems = systems
        self._top = folder / "top.json"
        self._accounts: list[str] = []
        self._started = time.perf_counter()
        self.report = Report()

    def run(self) -> None:
        """At rest first, since the rounds read from what that fills; then the rounds, their order turned by one."""
        if "footfall" in self._systems:
            self._accounts = rest.prepare(self._folder / "rest", self._plan, self.report)
        names = list(self._systems)
        for number in range(self._plan.rounds):
            print(f"round {number + 1}", flush=True)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                self._measure(name)
            self._round_out()

    def _measure(self, name: str) -> None:
        print(f" {name}, after {time.perf_counter() - self._started:.0f} s", flush=True)
        with self._systems[name](self._folder / name) as system:
            bench = Bench(system, Tally(system, self.report), self.report)
            bench.warm(Load(1, 4), self._plan.warm_s)
            if name == "footfall":
                front.idle(bench, self._plan.probes * _MORE_OF_ITS_OWN)
                front.bare_commits(system, self._plan.warm_s, self.report)
            else:
                front.idle(bench, self._plan.probes)
            with memory(system, self.report):
                for one in LOADS:
                    bench.measure(one, self._plan.seconds)
                if name == "footfall":
                    self._own(bench)
            bench.tally.close()

    def _own(self, bench: Bench) -> None:
        """What is asked of Footfall alone, by the rate that it drained just now."""
        drained = self.report.drained(bench.system.name, ONE_A_REQUEST)[-1]
        front.loaded(bench, drained, self._plan.seconds * 1.5 + 1)
        reads.top(bench, drained, self._plan.seconds / 2)
        reads.save_top(bench.system, self._top)

    def _round_out(self) -> None:
        print(f" limits, after {time.perf_counter() - self._started:.0f} s", flush=True)
        if self._accounts:
            with rest.resting(self._folder / "rest") as system:
                reads.history(system, self._accounts, self._plan.seconds / 2, self.report)
        top = self._top if self._top.exists() else None
        cassandra = "footfall_cassandra" in self._systems
        limits(self._folder / "limits", self._plan, self.report, top, cassandra=cassandra)


def main(
    quick: Annotated[bool, typer.Option(help="One short round, without Cassandra: two minutes.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the page, the plots and the figures.")] = None,
    systems: Annotated[str | None, typer.Option(help="Which, with commas between.")] = None,
    rounds: int = 3,
    seconds: float = 10.0,
) -> None:
    plan = _QUICK if quick else Plan(rounds, seconds, 2.0, 15, WEEKS_PER_PARTITION, 1_000_000, 16, 200_000)
    names = systems.split(",") if systems else _QUICK_SYSTEMS if quick else tuple(SYSTEMS)
    started = time.perf_counter()
    with data_folder() as folder:
        comparison = Comparison(folder, plan, {name: SYSTEMS[name] for name in names})
        comparison.run()
    took = f"{time.perf_counter() - started:.0f} s"
    print(f"took {took}\n\n{page(comparison.report)}")
    if out is not None:
        versions = (
            f"Temporal CLI {TEMPORAL_VERSION}",
            f"Restate {RESTATE_VERSION}",
            f"Cassandra {CASSANDRA_VERSION}",
        )
        extent = f"{plan.rounds} rounds, {plan.seconds:g} s a load; the run took {took}."
        write(out, f"{describe_hardware(*versions)} {extent}", comparison.report)


if __name__ == "__main__":
    typer.run(main)
