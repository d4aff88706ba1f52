"""What a running Footfall takes, sampled as time goes by: memory, disk, backlog, and the wait until visible."""

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import psutil

from bench.peers.footfall import running
from bench.visible import Prober
from runtime.instance import Instance

INTERVAL_S = 10.0
_PROBES_APART_S = (1.0, 3.0)  # at random, or they would fall in step with the batches

# Partitions under the name of their table; with their indexes and what is kept apart (TOAST).
_TABLES = """
SELECT coalesce(parent.relname, t.relname)::text AS name, sum(pg_total_relation_size(t.relid))::bigint AS bytes,
       sum(t.n_dead_tup)::bigint AS dead
FROM pg_stat_user_tables t
LEFT JOIN pg_inherits i ON i.inhrelid = t.relid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
GROUP BY 1
"""
_SHOWN = (
    "intake_log", "applied", "product_popularity", "product_popularity_daily", "event_ledger", "interaction_block",
    "batch_end",
)  # fmt: skip


class Sample(msgspec.Struct):
    at: float
    """Seconds since the Unix epoch."""
    memory_mb: dict[str, float]
    disk_mb: dict[str, float]
    dead_rows: dict[str, int]
    backlog: int
    visible_ms: list[float]
    """Of the probes since the sample before."""


class Watch:
    """Samples for as long as it is open; `samples` grows."""

    def __init__(self, instance: Instance, data_dir: Path, connection: "asyncpg.Connection[Any]") -> None:
        self._instance = instance
        self._data_dir = data_dir
        self._connection = connection
        self._http = httpx.AsyncClient(base_url=instance.api_url, timeout=60)
        self._visible: list[float] = []
        self._enough = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.samples: list[Sample] = []
        self.probes = 0

    async def take_sample(self) -> None:
        async with self._one_at_a_time:
            self.samples.append(await self._sample())

    async def _sample(self) -> Sample:
        tables = await self._connection.fetch(_TABLES)
        metrics = (await self._http.get("/metrics")).text
        # In a thread: the probes go on.
        memory, files = await asyncio.to_thread(lambda: (self._memory(), self._files()))
        found = re.search(r"^footfall_backlog_events (\S+)", metrics, re.MULTILINE)
        assert found is not None
        visible, self._visible = self._visible, []
        sizes = {row["name"]: row["bytes"] / 1e6 for row in tables if row["name"] in _SHOWN}
        dead = {row["name"]: row["dead"] for row in tables if row["name"] in _SHOWN}
        ordered = {name: sizes[name] for name in _SHOWN}
        return Sample(time.time(), memory, {**ordered, **files}, dead, int(float(found[1])), visible)

    async def keep_sampling(self) -> None:
        due = time.monotonic()
        while True:
            await self.take_sample()
            due += INTERVAL_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def keep_probing(self) -> None:
        prober = Prober(running(self._instance))
        while not self._enough.is_set():
            [seen_us] = await prober.one_by_one(1)
            self._visible.append(seen_us / 1000)
            self.probes += 1
            await asyncio.sleep(random.uniform(*_PROBES_APART_S))

    async def end_probing(self, probing: "asyncio.Task[None]") -> None:
        """A probe that has begun is brought to its end, since it will be counted."""
        self._enough.set()
        await probing

    async def close(self) -> None:
        await self._http.aclose()

    def _memory(self) -> dict[str, float]:
        """Resident, of each process of ours. PostgreSQL's share memory: private to each, and with each one's part."""
        pids = self._instance.pids
        found: dict[str, float] = {
            name: psutil.Process(pids[name]).memory_info().rss / 1e6 for name in ("api", "worker", "temporal")
        }
        infos = list(_memory_of_tree(pids["postgres"]))
        found["postgres, private"] = sum(info.uss for info in infos) / 1e6
        found["postgres, with what is shared"] = sum(getattr(info, "pss", info.uss) for info in infos) / 1e6
        return found

    def _files(self) -> dict[str, float]:
        postgres = self._data_dir / "postgres"
        log = _bytes(postgres / "pg_wal")
        temporal = sum(_bytes(path) for path in self._data_dir.glob("temporal.db*"))
        sizes = {"write-ahead log": log, "PostgreSQL without it": _bytes(postgres) - log, "temporal.db": temporal}
        return {name: size / 1e6 for name, size in sizes.items()}


@asynccontextmanager
async def watch(instance: Instance, data_dir: Path) -> AsyncIterator[Watch]:
    connection = await asyncpg.connect(instance.postgres_url)
    watching = Watch(instance, data_dir, connection)
    sampling = asyncio.create_task(watching.keep_sampling())
    try:
        yield watching
        if sampling.done():
            await sampling  # raises what ended it
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        await watching.close()
        await connection.close()


def _memory_of_tree(pid: int) -> Iterator[Any]:
    parent = psutil.Process(pid)
    for process in (parent, *parent.children(recursive=True)):
        try:
            yield process.memory_full_info()
        except psutil.NoSuchProcess:
            continue  # autovacuum's workers come and go


def _bytes(place: Path) -> int:
    """Of a file, or of all files in a folder; those that vanish meanwhile have none."""
    try:
        if not place.is_dir():
            return place.stat().st_size
        with os.scandir(place) as entries:
            return sum(_bytes(Path(entry.path)) for entry in entries if not entry.is_symlink())
    except FileNotFoundError:
        return 0
