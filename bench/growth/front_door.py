"""What accepting costs by events a request, and by connections."""

import subprocess
import sys
import time
from collections.abc import Sequence

from bench.events import requests
from bench.front import Front
from bench.growth.axis import Axis
from bench.growth.measuring import Effort, add_processors
from bench.growth.newcomers import BURST
from bench.peers.system import HOST
from bench.stack import data_folder, footfall_up
from runtime.limits import allow_open_files

_CONNECTIONS = 32
_UNLIMITED = {"FOOTFALL_BACKLOG_LIMIT_EVENTS": "1000000000"}
_OTHER_DESCRIPTORS = 300
"""That a process of ours needs beside those of its clients."""


def measure_events(sizes: Sequence[int], effort: Effort) -> Axis:
    axis = Axis(
        "events",
        "Events a request",
        "events a request",
        f"""\
Views over {_CONNECTIONS} connections in a closed loop, over HTTP, until all are counted in popularity. The
generator works on the same processors. The backlog has no limit here, or the largest requests would be refused
before the end.""",
    )
    with data_folder() as folder, footfall_up(folder, _UNLIMITED) as (instance, _):
        front = Front(instance)
        _warm(front)
        for size in sizes:
            request, before, started = requests(HOST, size), front.cpu_s(), time.perf_counter()
            result = front.load(request, size, _CONNECTIONS, effort.seconds)
            front.wait_counted()
            drained_s = time.perf_counter() - started
            events = result.answers * size
            axis.add(size, "accepted", events / result.seconds, "events/s", "figure")
            axis.add(size, "drained", events / drained_s, "events/s", "figure")
            axis.add(size, "accepted: for each event", result.seconds / events * 1e6, "µs", "each")
            axis.add(size, "drained: for each event", drained_s / events * 1e6, "µs", "each")
            axis.add(size, "accept p50", result.percentile_ms(50), "ms", "whole")
            axis.add(size, "accept p99", result.percentile_ms(99), "ms", "figure")
            add_processors(axis, size, before, front.cpu_s(), events)
    return axis


def measure_connections(sizes: Sequence[int], effort: Effort) -> Axis:
    axis = Axis(
        "connections",
        "Connections",
        "connections",
        f"""\
One view a request in a closed loop; the connections are opened one after the other, and then all start at once.
As many requests are under way as there are connections, so the wait for an answer grows in proportion once the
processors are busy; what an event costs must not. Newcomers are {BURST} connections at once beside such a load,
in a run of its own: the time from connect to the first answer, GET /health/live, of the last one.""",
    )
    allowed = allow_open_files(max(sizes) + _OTHER_DESCRIPTORS)
    with data_folder() as folder, footfall_up(folder, _UNLIMITED) as (instance, _):
        front = Front(instance)
        _warm(front)
        alone = front.resident_mb("api")
        for size in sizes:
            if size + _OTHER_DESCRIPTORS > allowed:
                axis.note(f"Not measured with {size:,}: this environment allows {allowed:,} descriptors a process.")
                continue
            # Long enough for some answers on each connection.
            before = front.cpu_s()
            result = front.load(requests(HOST, 1), 1, size, effort.seconds + size / 1_000)
            add_processors(axis, size, before, front.cpu_s(), result.answers)
            resident = front.resident_mb("api")
            front.wait_counted()
            axis.add(size, "accepted", result.answers / result.seconds, "events/s", "figure")
            axis.add(size, "accepted: for each event", result.seconds / result.answers * 1e6, "µs", "each")
            axis.add(size, "accept p50", result.percentile_ms(50), "ms", "whole")
            axis.add(size, "accept p99", result.percentile_ms(99), "ms", "figure")
            axis.add(size, "memory of the API", resident, "MB", "figure")
            axis.add(size, "more than with none, for each", max(0.0, resident - alone) * 1000 / size, "kB", "figure")
            _newcomers(axis, front, size, effort.seconds)
    axis.note(
        f"A connection takes a descriptor, in the API as in the generator; both were allowed {allowed:,}. Where "
        "`ulimit -n` says less than there are to be connections, raise it before `footfall up`: the API inherits it, "
        "and closes the connections beyond it at once."
    )
    return axis


def _newcomers(axis: Axis, front: Front, size: int, seconds: float) -> None:
    begin_after = 1 + size / 1_000  # when all connections of the load are there
    command = [sys.executable, "-m", "bench.growth.newcomers", str(front.port), str(begin_after), str(seconds / 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as beside:
        front.load(requests(HOST, 1), 1, size, 1 + seconds + size / 400)
        last_ms, _ = beside.communicate(timeout=60)
    front.wait_counted()
    axis.add(size, f"the last of {BURST} newcomers is answered", float(last_ms), "ms", "whole")


def _warm(front: Front) -> None:
    front.load(requests(HOST, 1), 1, 4, 1.0)
    front.wait_counted()
