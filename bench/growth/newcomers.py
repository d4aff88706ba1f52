"""Bursts of new connections beside a load, in a process of its own: PORT BEGIN_AFTER_S SECONDS.

Prints how many milliseconds the last of each burst waited from its connect to its first answer, at the median.
"""

import asyncio
import statistics
import sys
import time

import uvloop

from bench.loadgen import get
from bench.peers.system import HOST

BURST = 20
_PAUSE_S = 0.5
_REQUEST = get(HOST, "/health/live")


async def _one(port: int) -> float:
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(_REQUEST)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return (time.perf_counter() - started) * 1000


async def _bursts(port: int, seconds: float) -> list[float]:
    last = list[float]()
    deadline = time.perf_counter() + seconds
    while not last or time.perf_counter() < deadline:
        last.append(max(await asyncio.gather(*(_one(port) for _ in range(BURST)))))
        await asyncio.sleep(_PAUSE_S)
    return last


if __name__ == "__main__":
    time.sleep(float(sys.argv[2]))
    print(statistics.median(uvloop.run(_bursts(int(sys.argv[1]), float(sys.argv[3])))))
