"""Ten times what Footfall can do: `python -m bench.overload [--seconds 20] [--quick] [--out FOLDER]`.

First what it can do, drained; then half of that, calm; then ten times it, from thousands of connections; then half
again, which tells how soon it is itself. What it accepted meanwhile has to be counted, and nothing else.
Server, workers, databases and the load generator share one machine.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer

from bench.events import requests
from bench.front import Front
from bench.latency import Latency
from bench.loadgen import Intervals, Result, load
from bench.machine import describe_machine
from bench.peers.system import HOST
from bench.processes import highest_resident_mb
from bench.stack import data_folder, footfall_up
from bench.table import Table, write_page
from runtime.instance import Instance

_TIMES = 10
_CONNECTIONS = 32
_WARM_S = 3.0
_STORM_CONNECTIONS = 4_000
_CALM = 0.5
"""Of what it can."""
_CALM_CONNECTIONS = 128
_ITSELF_AGAIN, _NEAR_MS = 2.0, 100.0
"""Times the calm p99; and what is near it in any case."""
_MEANT = {HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_PARTS = ("api", "worker", "postgres")


@dataclass
class _Seen:
    """A load's seconds, and all of it."""

    seconds: list[Result] = field(default_factory=list)

    def accepted(self) -> int:
        return sum(one.statuses[HTTPStatus.ACCEPTED] for one in self.seconds)

    def refused(self, status: HTTPStatus) -> int:
        return sum(one.statuses[status] for one in self.seconds)

    def latency(self) -> Latency:
        return Latency(took for one in self.seconds for took in one.latencies_us)

    def latency_refused(self) -> Latency:
        return Latency(took for one in self.seconds for took in one.refused_us)


class _Rounds:
    def __init__(self, instance: Instance, events: int) -> None:
        self._front = Front(instance)
        self._events = events
        self._request: Callable[[], bytes] = requests(HOST, events)

    def most(self, seconds: float) -> float:
        return self._front.most_per_s(self._request, self._events, _CONNECTIONS, _WARM_S, seconds)

    def run(self, rate: float, connections: int, seconds: float, *, patient: bool) -> _Seen:
        seen = _Seen()
        last = load(
            HOST,
            self._front.port,
            self._request,
            connections=connections,
            seconds=seconds,
            rate=rate,
            intervals=Intervals(1.0, seen.seconds.append),
            patient=patient,
        )
        seen.seconds.append(last)
        answers = {status for one in seen.seconds for status in one.statuses}
        if not answers <= _MEANT or any(one.cut for one in seen.seconds):
            raise SystemExit(f"answers {answers}, cut {sum(one.cut for one in seen.seconds)}")
        self._front.accepted += seen.accepted() * self._events
        return seen

    def wait_counted(self) -> float:
        started = time.perf_counter()
        self._front.wait_counted()
        return time.perf_counter() - started


def measure(instance: Instance, events: int, seconds: float) -> Table:
    """One size of request."""
    table, rounds = Table(), _Rounds(instance, events)
    most = rounds.most(seconds / 3)
    table.add("what it can, requests/s until counted", most)
    calm = rounds.run(most * _CALM, _CALM_CONNECTIONS, seconds / 3, patient=True)
    calm_ms = calm.latency().percentile_ms(99)
    table.add("at half of that: accepted p50, ms", calm.latency().percentile_ms(50))
    table.add("at half of that: accepted p99, ms", calm_ms)
    pids = {name: instance.pids[name] for name in _PARTS}
    with highest_resident_mb(pids) as before:
        time.sleep(1)
    with highest_resident_mb(pids) as highest:
        storm = rounds.run(most * _TIMES, _STORM_CONNECTIONS, seconds, patient=False)
    after = rounds.run(most * _CALM, _CALM_CONNECTIONS, seconds, patient=True)
    _tell_storm(table, storm, most, seconds)
    for name in _PARTS:
        table.add(f"{name}, memory before, MB", before[name])
        table.add(f"{name}, highest memory meanwhile, MB", highest[name])
    table.add("itself again after, s", _itself_again_s(after, calm_ms))
    table.add("all that was accepted is counted after, s", rounds.wait_counted())
    return table


def _tell_storm(table: Table, storm: _Seen, most: float, seconds: float) -> None:
    sent, unsent = (sum(one.answers for one in storm.seconds), sum(one.unsent for one in storm.seconds))
    table.add("offered, times what it can", (sent + unsent) / seconds / most)
    table.add("answered, times what it can", sent / seconds / most)
    table.add("accepted, times what it can", storm.accepted() / seconds / most, digits=3)
    table.add("refused with 429, of those answered", storm.refused(HTTPStatus.TOO_MANY_REQUESTS) / sent)
    table.add("refused with 503, of those answered", storm.refused(HTTPStatus.SERVICE_UNAVAILABLE) / sent)
    for percent in (50, 99):
        table.add(f"accepted p{percent}, ms", storm.latency().percentile_ms(percent))
    quarter = max(1, len(storm.seconds) // 4)
    for name, some in (("first", storm.seconds[:quarter]), ("last", storm.seconds[-quarter - 1 : -1])):
        table.add(f"accepted p99 in the {name} quarter, ms", _Seen(some).latency().percentile_ms(99))
    table.add("refused p50, ms", storm.latency_refused().percentile_ms(50))
    table.add("refused p99, ms", storm.latency_refused().percentile_ms(99))


def _itself_again_s(after: _Seen, calm_ms: float) -> int:
    """The first second after which no request is refused and each second's p99 is near that of calm days.

    Raises:
        SystemExit: it never was.

    """
    again = 0
    for number, one in enumerate(after.seconds[:-1], start=1):
        p99_ms = Latency(one.latencies_us).percentile_ms(99)
        if set(one.statuses) != {HTTPStatus.ACCEPTED} or p99_ms > max(_NEAR_MS, _ITSELF_AGAIN * calm_ms):
            again = number
    if again >= len(after.seconds) - 1:
        told = [(dict(one.statuses), Latency(one.latencies_us).percentile_ms(99)) for one in after.seconds]
        raise SystemExit(f"not itself again, second by second: {told}")
    return again


def main(
    seconds: Annotated[float, typer.Option(help="How long the storm lasts.")] = 20.0,
    events: Annotated[list[int] | None, typer.Option(help="Interactions a request; 1 and 100.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the page and its figures.")] = None,
) -> None:
    tables: dict[str, Table] = {}
    for size in events or [1, 100]:
        print(f"{size} a request", flush=True)
        with data_folder() as folder, footfall_up(folder) as (instance, _):
            machine = describe_machine(instance)
            tables[f"{size} a request"] = measure(instance, size, seconds)
    if out is not None:
        write_page(out, "overload", "Ten times what it can", machine, tables)


if __name__ == "__main__":
    typer.run(main)
