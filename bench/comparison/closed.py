"""Closed loops until everything is counted, and the count held against what was accepted."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.comparison.figures import Figures, Load, Report
from bench.events import bundles
from bench.loadgen import Result, load
from bench.peers.system import HOST, Running, insist_on_count, wait_until_counted

_DRAIN_PATIENCE_S = 900.0
_LOOK_EVERY_S = 0.05
_SETTLE_S = 1.0


class Tally:
    """What a system has to count in the end, from its start to its stop in one round."""

    def __init__(self, system: Running, report: Report) -> None:
        self._system = system
        self._report = report
        self._before = self._expected = system.counted()

    def add(self, events: int) -> None:
        self._expected += events

    def wait(self) -> None:
        """Returns when all is counted; more than that is a fault as well."""
        system = self._system
        wait_until_counted(system.counted, self._expected, patience_s=_DRAIN_PATIENCE_S, name=system.name)

    def wait_everywhere(self) -> None:
        """Returns when nothing is left to do, so that what is measured next has the machine for itself."""
        self.wait()
        deadline = time.perf_counter() + _DRAIN_PATIENCE_S
        while self._system.is_busy():
            if time.perf_counter() > deadline:
                raise SystemExit(f"{self._system.name}: counted, and does not come to an end")
            time.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """The last look, after a while in which something could still be counted twice."""
        self.wait()
        time.sleep(_SETTLE_S)
        insist_on_count(self._system.counted(), self._expected, self._system.name)
        self._report.exact.append(f"{self._system.name}: {self._expected - self._before:,}")


@dataclass(frozen=True)
class Bench:
    """A system under measurement."""

    system: Running
    tally: Tally
    report: Report

    def warm(self, one: Load, seconds: float) -> None:
        """A load that is not measured."""
        self._send(one, self.system.requests(bundles(one.events)), seconds)
        self.tally.wait_everywhere()

    def _send(self, one: Load, request: Callable[[], bytes], seconds: float) -> Result:
        result = load(HOST, self.system.port, request, connections=one.connections, seconds=seconds)
        insist(result, self.system.name)
        self.tally.add(result.answers * one.events)
        return result

    def measure(self, one: Load, seconds: float) -> None:
        """One load, and how long it takes from its start until all is counted, and until nothing is left to do."""
        figures = self.report.loads[one].setdefault(self.system.name, Figures())
        request = self.system.requests(bundles(one.events))
        started = time.perf_counter()
        result = self._send(one, request, seconds)
        self.tally.wait()
        sent = result.answers * one.events
        figures.drained_per_s.append(sent / (time.perf_counter() - started))
        self.tally.wait_everywhere()
        if self.system.busy is not None:
            figures.everywhere_per_s.append(sent / (time.perf_counter() - started))
        figures.accepted_per_s.append(sent / result.seconds)
        figures.accept.append(result.latency)
        rates = f"{figures.accepted_per_s[-1]:,.0f} accepted/s, {figures.drained_per_s[-1]:,.0f} drained/s"
        print(f"  {self.system.name}, {one.name}: {rates}, p50 {result.percentile_ms(50):.2f} ms", flush=True)


def insist(result: Result, name: str) -> None:
    """Ends the run where not every answer is a success."""
    bad = {status: count for status, count in result.statuses.items() if status not in {200, 202}}
    if bad or result.cut or not result.answers:
        raise SystemExit(f"{name}: {result.answers} answers, other than success {bad}, cut {result.cut}")
