"""An open loop of single events in a process of its own, beside what this process measures."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.events import requests
from bench.latency import Latency
from bench.loadgen import load

_HOST = "127.0.0.1"
# More than a server answers at once: an open loop's requests come when they come.
_CONNECTIONS = 128


@dataclass
class Beside:
    """What the loop saw, once it has ended."""

    process: "subprocess.Popen[bytes]"
    accepted: int = 0
    seconds: float = 0.0
    latency: Latency = field(default_factory=Latency)


@contextlib.contextmanager
def open_loop(port: int, rate: float, seconds: float) -> Iterator[Beside]:
    """Runs meanwhile; the figures are there when the block is left, which waits for the loop's end."""
    command = [sys.executable, "-m", "bench.beside", str(port), str(rate), str(seconds)]
    beside = Beside(subprocess.Popen(command, stdout=subprocess.PIPE))
    try:
        yield beside
        out, _ = beside.process.communicate()
        if beside.process.returncode != 0:
            raise SystemExit("the load beside failed")
        said = json.loads(out)
        beside.accepted, beside.seconds = said["accepted"], said["seconds"]
        beside.latency = Latency.decode(said["latency"])
    finally:
        beside.process.kill()
        beside.process.wait()


def main(port: int, rate: float, seconds: float) -> None:
    request = requests(_HOST, 1, seed=2)
    result = load(_HOST, port, request, connections=_CONNECTIONS, seconds=seconds, rate=rate)
    if set(result.statuses) != {202} or result.cut:
        raise SystemExit(f"answers: {dict(result.statuses)}, cut: {result.cut}")
    said = {"accepted": result.answers, "seconds": result.seconds, "latency": result.latency.encode()}
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
