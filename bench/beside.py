"""An open loop of single events, in a process of its own: PORT RATE SECONDS; prints how many were accepted."""

import sys

from bench.events import requests
from bench.loadgen import load

if __name__ == "__main__":
    port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    result = load("127.0.0.1", port, requests("127.0.0.1", 1, seed=2), connections=32, seconds=seconds, rate=rate)
    if set(result.statuses) != {202} or result.cut:
        raise SystemExit(f"answers: {dict(result.statuses)}, cut: {result.cut}")
    print(result.answers)
