"""What a running Footfall uses, by part: CPU of its processes, WAL, batches, bytes over the loopback."""

import asyncio
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import psutil

from bench.peers.system import fetch_row
from bench.processes import family_cpu_seconds
from runtime.instance import Instance

PARTS = ("api", "worker", "postgres", "temporal")
CASSANDRA = "cassandra"

_COUNTED = """
SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS wal_bytes,
       (SELECT count(*) FROM batch_end) AS batches,
       (SELECT coalesce(sum(event_count), 0)::bigint FROM batch_end) AS events
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals since the start, at one moment."""

    at_s: float
    cpu_s: Mapping[str, float]
    wal_bytes: int
    batches: int
    events: int
    """Released: in every read model."""
    loopback_bytes: int
    """Of everything on this machine; PostgreSQL's socket is no part of it."""

    def without(self, at_rest: Mapping[str, float]) -> "Reading":
        """Of a difference: without the CPU, a second, that processes use when nothing comes.

        Cassandra never rests after a load: what it does then is part of its price.
        """
        rests = {**at_rest, CASSANDRA: 0.0}
        cpu_s = {part: max(0.0, used - rests[part] * self.at_s) for part, used in self.cpu_s.items()}
        return replace(self, cpu_s=cpu_s)

    def since(self, before: "Reading") -> "Reading":
        return Reading(
            self.at_s - before.at_s,
            {part: used - before.cpu_s[part] for part, used in self.cpu_s.items()},
            self.wal_bytes - before.wal_bytes,
            self.batches - before.batches,
            self.events - before.events,
            self.loopback_bytes - before.loopback_bytes,
        )


class Meter:
    def __init__(self, instance: Instance, cassandra: "subprocess.Popen[bytes] | None" = None) -> None:
        self._url = instance.postgres_url
        self._pids = {part: instance.pids[part] for part in PARTS}
        if cassandra is not None:
            self._pids[CASSANDRA] = cassandra.pid

    @property
    def parts(self) -> Iterable[str]:
        return self._pids

    def read(self) -> Reading:
        cpu_s = {part: family_cpu_seconds(pid) for part, pid in self._pids.items()}
        counted = asyncio.run(fetch_row(self._url, _COUNTED))
        return Reading(
            time.monotonic(), cpu_s, counted["wal_bytes"], counted["batches"], counted["events"], _loopback_bytes()
        )


def _loopback_bytes() -> int:
    interfaces = psutil.net_io_counters(pernic=True)
    return sum(interfaces[name].bytes_sent for name in ("lo", "lo0") if name in interfaces)
