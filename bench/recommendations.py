"""How soon recommendations are answered, on every rung, and how soon they follow a click.

`python -m bench.recommendations [--quick] [--out FOLDER] [--shop FOLDER]`. An API, a worker and a recommender a
core, as processes of their own on PostgreSQL, a planted shop, 8 connections that ask for any account. Parts are taken
away as tests/e2e/test_recommendation_rungs.py does. The shop's model is trained first, which takes minutes, and kept
in `--shop` for the next time.
"""

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen
from uuid import uuid4

import httpx
import typer

from bench.latency import Latency
from bench.loadgen import get, load
from bench.machine import describe_hardware
from bench.processes import family_cpu_seconds
from bench.recommendation_shop import Shop, furnish, made_ready
from bench.stack import data_folder
from bench.table import Table, write_page
from domain.recommendations import Rung
from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from runtime.temporal_binary import find_temporal
from runtime.temporal_server import TemporalServer
from tests.stack import Stack, frozen

_CONNECTIONS = 8
_ANSWERS = "footfall_recommendation_answers_total"
_LOOK_EVERY_S = 0.005
_PATIENCE_S = 120.0
_CLICK_S = 15.0
"""A hundred clicks that are not felt end the run, and not each after minutes."""


class House:
    """What is measured, each part of it in a process that can be taken away."""

    def __init__(self, stack: Stack, postgres: EmbeddedPostgres, shop: Shop, seconds: float) -> None:
        self.stack = stack
        self.postgres = postgres
        self.shop = shop
        self.accounts = shop.account_ids
        self._seconds = seconds

    def pids(self) -> dict[str, int]:
        assert self.postgres.process is not None
        named = {name: process.pid for name, process in self.stack.processes.items()}
        return named | {"postgres": self.postgres.process.pid}

    def measure(
        self,
        table: Table,
        rung: Rung,
        name: str,
        target: str = "",
        rate: float | None = None,
        prefix: str = "account",
    ) -> float:
        """A load of answers that stand on this rung; answers a second."""
        self.wait_for(rung, prefix)
        picker = random.Random(1)
        asked = [
            get("127.0.0.1", f"/recommendations/{prefix}-{picker.randrange(len(self.accounts))}")
            for _ in range(9_973)
        ]
        requests: Callable[[], bytes] = cycle(asked).__next__
        before, cpu = self._stood_on(rung), self._cpu()
        result = load(
            "127.0.0.1", self.stack.port, requests, connections=_CONNECTIONS, seconds=self._seconds, rate=rate
        )
        answers = result.answers
        if set(result.statuses) != {200} or result.cut:
            raise SystemExit(f"{name}: {result.statuses}, {result.cut} cut")
        p50, p99 = target.split("/") if target else ("", "")
        table.add(f"{name}: p50, ms", result.percentile_ms(50), p50)
        table.add(f"{name}: p99, ms", result.percentile_ms(99), p99)
        table.add(f"{name}: answers/s", result.rate)
        table.add(f"{name}: of them on the rung `{rung}`, %", 100 * (self._stood_on(rung) - before) / answers)
        for part, spent in self._cpu().items():
            table.add(f"{name}: CPU of {part}, ms an answer", (spent - cpu.get(part, spent)) / answers * 1e3)
        return result.rate

    def _cpu(self) -> dict[str, float]:
        return {name: family_cpu_seconds(pid) for name, pid in self.pids().items() if name != "worker"}

    def _stood_on(self, rung: Rung) -> float:
        with urlopen(f"{self.stack.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        wanted = f'{_ANSWERS}{{rung="{rung}"}} '
        return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)

    def wait_for(self, rung: Rung, prefix: str = "account") -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while (found := httpx.get(f"{self.stack.url}/recommendations/{prefix}-1").json()["rung"]) != rung:
            if time.monotonic() > deadline:
                raise SystemExit(f"answers stand on {found}, not on {rung}")
            time.sleep(0.1)
        # What was down is tried again after a second.
        time.sleep(1.5)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        self.stack.kill(name)
        yield
        self.stack.start_unready(name)

    @contextmanager
    def without_ranker(self) -> Iterator[None]:
        file = self.shop.folder / "model" / "ranker.txt"
        hidden = file.rename(file.with_suffix(".hidden"))
        try:
            self.stack.kill("recommender")
            self.stack.start_unready("recommender")
            yield
        finally:
            hidden.rename(file)
            self.stack.kill("recommender")
            self.stack.start_unready("recommender")
            self.wait_for("ranked")


@contextmanager
def _house(shop: Shop, seconds: float) -> Iterator[House]:
    with data_folder() as folder, ExitStack() as servers:
        postgres = EmbeddedPostgres(folder / "postgres", folder / "logs")
        temporal = TemporalServer(
            find_temporal(),
            folder,
            folder / "logs",
            port=free_port("127.0.0.1", 0),
            ui_port=free_port("127.0.0.1", 0),
        )
        for server in (postgres, temporal):
            server.start()
            servers.callback(server.stop)
        asyncio.run(migrate_postgres(postgres.url))
        port = str(free_port("127.0.0.1", 0))
        settings = {
            "FOOTFALL_RECOMMENDER_PORT": port,
            "FOOTFALL_RECOMMENDER_URL": f"http://127.0.0.1:{port}",
            "FOOTFALL_RECOMMENDER_PROCESSES": str(os.cpu_count()),
            "FOOTFALL_LOG_LEVEL": "error",
        }
        stack = Stack(postgres.url, temporal.address, folder / "logs", settings)
        stack.start("worker", "recommender", "api")
        servers.callback(stack.stop)
        asyncio.run(furnish(shop, postgres.url, stack.url))
        yield House(stack, postgres, shop, seconds)


def _rungs(house: House, table: Table) -> None:
    """Each in turn, the best first."""
    most = house.measure(table, "ranked", "all is well", "≤ 15/≤ 50")
    house.measure(table, "ranked", "all is well, at half of that rate", rate=most / 2)
    with house.without_ranker():
        house.measure(table, "candidates", "the ranker's file is gone")
    with frozen(house.pids()["postgres"]):
        house.measure(table, "defaults", "PostgreSQL, which keeps the signals, is frozen")
    with frozen(house.pids()["recommender"]):
        house.measure(table, "precomputed", "the recommender is frozen")
    with house.without("recommender"):
        most = house.measure(table, "precomputed", "the recommender is killed")
        house.measure(table, "precomputed", "the recommender is killed, at half of that rate", "≤ 3/", most / 2)
        house.measure(table, "popular", "… and nothing is made ahead", prefix="nobody")
        with frozen(house.pids()["postgres"]):
            house.measure(table, "memory", "… and PostgreSQL is frozen")


async def _clicks(house: House, table: Table, count: int) -> None:
    """From a click's POST until an answer of the ranker knows of it; looked at every 5 ms, and so much too high."""
    picker, categories, took, changed = random.Random(2), house.shop.categories, [], 0
    items = list(categories)
    async with httpx.AsyncClient(base_url=house.stack.url, timeout=30) as http:
        for account_id in picker.sample(house.accounts, count):
            last, before = await _ranked(http, account_id)
            shown = Counter(categories[one] for one in before)
            clicked = min(picker.sample(items, 20), key=lambda one: shown[categories[one]])
            event = {
                "account_id": account_id,
                "event_type": "view",
                "ref_type": "Product",
                "ref_id": clicked,
                "session_id": str(uuid4()),
            }
            started = time.perf_counter()
            (await http.post("/interaction", json=event)).raise_for_status()
            _, after = await _ranked(http, account_id, last)
            took.append((time.perf_counter() - started) * 1e6)
            changed += after != before
            await asyncio.sleep(picker.uniform(0, 0.2))
    latency = Latency(took)
    for percent in (50, 99):
        table.add(
            f"from a click to an answer that knows of it: p{percent}, ms", latency.percentile_ms(percent), "≤ 300"
        )
    table.add("answers with other items than before the click, %", 100 * changed / count)


async def _ranked(http: httpx.AsyncClient, account_id: str, but: str | None = "") -> tuple[str | None, Sequence[str]]:
    """The newest action that an answer knows of, None for none, and its items; where that action is not `but`.

    On a machine that is busy an answer may be one made ahead, which knows of no click ever; those are passed over.
    """
    deadline = time.monotonic() + _CLICK_S
    while True:
        answer = (await http.get(f"/recommendations/{account_id}")).json()
        if answer["rung"] == "ranked" and answer["last_action_at"] != but:
            return answer["last_action_at"], [one["item_id"] for one in answer["items"]]
        if time.monotonic() > deadline:
            raise SystemExit(f"no click of {account_id} is felt; answers stand on {answer['rung']}")
        await asyncio.sleep(_LOOK_EVERY_S)


def main(
    quick: Annotated[bool, typer.Option(help="A tenth of the shop, seconds a figure.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for recommendations.md and recommendations.json.")] = None,
    shop: Annotated[Path | None, typer.Option(help="Folder that the shop and its model are kept in.")] = None,
    only_make: Annotated[bool, typer.Option(help="Trains the shop's model, and measures nothing.")] = False,
) -> None:
    accounts, items, events = (1_000, 1_000, 50_000) if quick else (10_000, 10_000, 500_000)
    with tempfile.TemporaryDirectory(prefix="footfall-shop-") as own:
        made = made_ready(shop or Path(own), accounts, items, events)
        if only_make:
            return
        answers, clicks = Table(), Table()
        with _house(made, 3 if quick else 6) as house:
            house.measure(Table(), "ranked", "warming up")
            _rungs(house, answers)
            house.wait_for("ranked")
            asyncio.run(_clicks(house, clicks, 20 if quick else 100))
    if out is not None:
        machine = describe_hardware(f"{accounts:,} accounts, {items:,} items, {events:,} events")
        write_page(out, "recommendations", "Recommendations", machine, {"Answers": answers, "Clicks": clicks})


if __name__ == "__main__":
    typer.run(main)
