"""An open loop of single events, in a process of its own: PORT RATE SECONDS.

Prints "started" when the load starts, and at the end one line of JSON: accepted, p50_ms, p99_ms.
"""

import json
import sys

import uvloop

from bench.events import requests
from bench.loadgen import drive

HOST = "127.0.0.1"

if __name__ == "__main__":
    port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    request = requests(HOST, 1, seed=2)
    print("started", flush=True)
    result = uvloop.run(drive(HOST, port, request, connections=32, seconds=seconds, rate=rate)).require(202)
    figures = {"p50_ms": result.percentile_ms(50), "p99_ms": result.percentile_ms(99)}
    print(json.dumps({"accepted": result.answers, **figures}))
