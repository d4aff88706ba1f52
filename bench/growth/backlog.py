"""What accepting and working off cost as the backlog grows."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.events import requests
from bench.front import Front
from bench.growth.axis import Axis
from bench.growth.measuring import Effort, add_processors
from bench.peers.system import HOST
from bench.stack import data_folder, footfall_up
from runtime.instance import Instance

_CONNECTIONS = 32
_STEP_S = 2.0


def measure(sizes: Sequence[int], effort: Effort) -> Axis:
    axis = Axis(
        "backlog",
        "Backlog",
        "interactions accepted and not worked off",
        f"""\
The worker is stopped (SIGSTOP), and views are accepted, one a request over {_CONNECTIONS} connections, until as
many as the size wait; then accepting is measured, with one connection and with {_CONNECTIONS}, which adds to
the backlog. The worker goes on (SIGCONT), and the time until all are counted gives the rate. The worker's
processor is free while it is stopped, so the backlog of 0 here is quicker than in the other benches. The
backlog's limit is raised for this. The time of the processor is that of accepting over {_CONNECTIONS}
connections.""",
    )
    limit = {"FOOTFALL_BACKLOG_LIMIT_EVENTS": str(10 * max(*sizes, 1_000_000))}
    with data_folder() as folder, footfall_up(folder, limit) as (instance, _):
        front, request = Front(instance), requests(HOST, 1)
        front.load(request, 1, 4, 1.0)
        front.wait_counted()
        for size in sizes:
            drained = front.accepted
            with _stopped_worker(instance):
                while front.accepted - drained < size:
                    front.load(request, 1, _CONNECTIONS, _seconds(size - front.accepted + drained))
                _accept(axis, size, front, 1, effort.seconds / 2)
                before = front.cpu_s()
                answers = _accept(axis, size, front, _CONNECTIONS, effort.seconds / 2)
                add_processors(axis, size, before, front.cpu_s(), answers)
            started, waiting = time.perf_counter(), front.accepted - drained
            front.wait_counted()
            seconds = time.perf_counter() - started
            axis.add(size, "waited when the worker went on", waiting, "interactions", "figure")
            axis.add(size, "drained", waiting / seconds, "events/s", "figure")
            axis.add(size, "drained: for each", seconds / waiting * 1e6, "µs", "each")
    return axis


def _accept(axis: Axis, size: int, front: Front, connections: int, seconds: float) -> int:
    """How many were accepted."""
    result, name = front.load(requests(HOST, 1), 1, connections, seconds), f"connections: {connections}"
    axis.add(size, f"accept p50, {name}", result.percentile_ms(50), "ms", "each")
    axis.add(size, f"accept p99, {name}", result.percentile_ms(99), "ms", "figure")
    return result.answers


def _seconds(missing: int) -> float:
    """Not much longer than it takes: a few thousand come in a second."""
    return min(_STEP_S, max(0.05, missing / 10_000))


@contextmanager
def _stopped_worker(instance: Instance) -> Iterator[None]:
    os.kill(instance.pids["worker"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(instance.pids["worker"], signal.SIGCONT)
