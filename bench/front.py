"""A running Footfall's front door under load: what is accepted has to be counted."""

import time
from collections.abc import Callable

from bench.loadgen import Result, load
from bench.peers.system import HOST, views, wait_until_counted
from bench.processes import family_cpu_seconds, resident_mb
from runtime.instance import Instance

_PATIENCE_S = 900.0


class Front:
    """All events are views, each of its own."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.port = int(instance.api_url.rsplit(":", 1)[1])
        self.accepted = 0

    def load(self, request: Callable[[], bytes], events: int, connections: int, seconds: float) -> Result:
        """A closed loop of requests of so many events; every one of them must be accepted."""
        result = load(HOST, self.port, request, connections=connections, seconds=seconds)
        if set(result.statuses) != {202} or result.cut:
            raise SystemExit(f"answers other than 202: {dict(result.statuses)}, cut: {result.cut}")
        self.accepted += result.answers * events
        return result

    def most_per_s(
        self, request: Callable[[], bytes], events: int, connections: int, warm_s: float, seconds: float
    ) -> float:
        """Requests a second in a closed loop, warm, until all is counted."""
        self.load(request, events, connections, warm_s)
        self.wait_counted()
        started = time.perf_counter()
        result = self.load(request, events, connections, seconds)
        self.wait_counted()
        return result.answers / (time.perf_counter() - started)

    def wait_counted(self) -> None:
        """Returns when all is in popularity; more than that is a fault as well."""
        wait_until_counted(lambda: views(self._instance.postgres_url), self.accepted, patience_s=_PATIENCE_S)

    def cpu_s(self) -> dict[str, float]:
        """The processor's time that each part has had; the generator's is this process's."""
        parts = ("api", "postgres", "temporal", "worker")
        found = {name: family_cpu_seconds(self._instance.pids[name]) for name in parts}
        return found | {"generator": time.process_time()}

    def resident_mb(self, process: str) -> float:
        return resident_mb(self._instance.pids[process])
