"""A running Footfall's front door under load: what is accepted has to be counted."""

import resource
import time
from collections.abc import Callable

import psutil

from bench.loadgen import Result, load
from bench.peers.system import HOST, views
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

    def wait_counted(self) -> None:
        """Returns when all is in popularity; more than that is a fault as well."""
        deadline = time.perf_counter() + _PATIENCE_S
        while (counted := views(self._instance.postgres_url)) < self.accepted:
            if time.perf_counter() > deadline:
                raise SystemExit(f"{counted:,} of {self.accepted:,} are counted, and no more come")
            time.sleep(0.05)
        if counted > self.accepted:
            raise SystemExit(f"{counted:,} are counted, {self.accepted:,} were accepted")

    def cpu_s(self) -> dict[str, float]:
        """The processor's time that each part has had; the generator's is this process's."""
        found = {}
        for name in ("api", "postgres", "temporal", "worker"):
            process = psutil.Process(self._instance.pids[name])
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
            found[name] = sum(one.user + one.system for one in times)
        return found | {"generator": time.process_time()}

    def resident_mb(self, process: str) -> float:
        return psutil.Process(self._instance.pids[process]).memory_info().rss / 1e6


def raise_descriptors(wanted: int) -> int:
    """Lets this process, and what it starts from now on, open so many files and sockets, or as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(wanted, soft)
    allowed = max(soft, min(wanted, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
