"""What is asked of any process of ours: its version, whether its loop keeps up, and its connections to PostgreSQL."""

import asyncio
from collections.abc import Mapping
from importlib.metadata import version

from prometheus_client import Gauge, Histogram, disable_created_metrics

from store.postgres import Pool, waiting_for_connection

BUILD = Gauge(
    "footfall_build_info", "1; the labels say what runs.", ["process", "version"], multiprocess_mode="livemax"
)
LOOP_LAG_SECONDS = Histogram(
    "footfall_event_loop_lag_seconds",
    "How much later than asked for the event loop turned to a task, looked at once a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CONNECTIONS = Gauge(
    "footfall_postgres_connections",
    "Connections to PostgreSQL, by pool and whether they are busy or idle.",
    ["pool", "state"],
    multiprocess_mode="livesum",
)
CONNECTIONS_MOST = Gauge(
    "footfall_postgres_connections_max", "The most that a pool opens.", ["pool"], multiprocess_mode="livesum"
)
WAITING = Gauge(
    "footfall_postgres_waiting", "Those who wait for a connection of a pool.", ["pool"], multiprocess_mode="livesum"
)

_EVERY_S = 1.0


def tell_build(process: str) -> None:
    """Also leaves out, for each counter and histogram, when it was made: a third of all lines, which nobody asks."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    BUILD.labels(process, version("footfall")).set(1)


async def keep_sampling(pools: Mapping[str, Pool]) -> None:
    """Looks at the loop and the pools once a second until cancelled; the pools by the name of what they are for."""
    loop = asyncio.get_running_loop()
    while True:
        for name, pool in pools.items():
            idle = pool.get_idle_size()
            CONNECTIONS.labels(name, "idle").set(idle)
            CONNECTIONS.labels(name, "busy").set(pool.get_size() - idle)
            CONNECTIONS_MOST.labels(name).set(pool.get_max_size())
            WAITING.labels(name).set(waiting_for_connection(pool))
        due = loop.time() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))
