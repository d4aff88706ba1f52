"""The whole way of an interaction, measured: `python -m bench.spine [--quick] [--out FOLDER]`.

Server, workers, databases and the load generator share one machine, so compare figures of one run with each other.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import httpx
import psutil
import typer

from bench.beside import open_loop
from bench.events import PRODUCTS, requests
from bench.latency import Latency
from bench.loadgen import Result, get, load
from bench.machine import describe_machine
from bench.peers.footfall import running
from bench.peers.system import views, wait_until_counted
from bench.stack import data_folder, fastapi_alone, footfall_up
from bench.table import Table
from bench.visible import Prober
from runtime.instance import Instance

HOST = "127.0.0.1"
_DRAIN_PATIENCE_S = 300.0
_PROBES_A_SECOND = 10.0


class Bench:
    def __init__(self, instance: Instance, table: Table, seconds: float) -> None:
        self._instance = instance
        self._table = table
        self._seconds = seconds
        self._port = int(instance.api_url.rsplit(":", 1)[1])
        self.sent = 0
        self.probes = 0

    def _load(self, request: Callable[[], bytes], connections: int, rate: float | None = None) -> Result:
        result = load(HOST, self._port, request, connections=connections, seconds=self._seconds, rate=rate)
        bad = {status: count for status, count in result.statuses.items() if status not in {200, 202}}
        if bad or result.cut:
            raise SystemExit(f"answers other than success: {bad}, cut: {result.cut}")
        return result

    def accept(self, connections: int, events: int, rate_target: str = "", p50_target: str = "") -> float:
        """Loads the front door and waits until everything is in popularity; drained events a second."""
        request = requests(HOST, events)
        started = time.perf_counter()
        result = self._load(request, connections)
        self.sent += result.answers * events
        self._wait_drained()
        drained = result.answers * events / (time.perf_counter() - started)
        name = f"{events} a request, {connections} connections"
        self._table.add(f"{name}: accepted events/s", result.answers * events / result.seconds)
        self._table.add(f"{name}: drained events/s", drained, rate_target)
        self._table.add(f"{name}: accept p50 ms", result.percentile_ms(50), p50_target)
        self._table.add(f"{name}: accept p99 ms", result.percentile_ms(99))
        return drained

    def counted(self) -> int:
        """Views in the popularity table."""
        return views(self._instance.postgres_url)

    def _wait_drained(self) -> None:
        wait_until_counted(self.counted, self.sent + self.probes, patience_s=_DRAIN_PATIENCE_S)

    def visible(self, rate: float) -> None:
        """How long after its POST an event is seen in GET /popularity, while a load runs at `rate`."""
        self._table.add("load beside the next, events/s", rate)
        with open_loop(self._port, rate, self._seconds * 2) as beside:
            time.sleep(1)  # until it is under way
            found = asyncio.run(Prober(running(self._instance)).at_random(_PROBES_A_SECOND, self._seconds * 2 - 1.5))
        self.sent += beside.accepted
        self.probes += len(found)
        self._wait_drained()
        seen = Latency(found)
        self._table.add("visible in popularity at half load: p50 ms", seen.percentile_ms(50), "≤ 150")
        self._table.add("visible in popularity at half load: p99 ms", seen.percentile_ms(99))

    def reads(self) -> None:
        """One account's 500 interactions, sent one by one; every product on each of the last seven days."""
        reader, now = f"reader-{uuid4()}", datetime.now(UTC)
        with httpx.Client(base_url=self._instance.api_url, timeout=60) as client:
            for product in range(500):
                self._once(client, [_view(reader, product, now)])
            for day, start in itertools.product(range(7), range(0, PRODUCTS, 1_000)):
                moment = now - timedelta(days=day)
                self._once(client, [_view("filler", product, moment) for product in range(start, start + 1_000)])
        self._wait_drained()
        for name, path, target in (
            ("GET /popularity/top", "/popularity/top", "≤ 1.5"),
            ("GET /popularity/top?window=7d", "/popularity/top?window=7d", ""),
            ("GET /interactions, 500 events", f"/interactions/{reader}?limit=500", "≤ 5"),
        ):
            request = get(HOST, path)
            result = self._load(lambda request=request: request, 1)  # type: ignore[misc]
            self._table.add(f"{name}: p50 ms, 1 client", result.percentile_ms(50), target)
            self._table.add(f"{name}: p99 ms, 1 client", result.percentile_ms(99))

    def _once(self, client: httpx.Client, events: list[dict[str, str]]) -> None:
        answer = client.post("/interaction", json={"interactions": events})
        if answer.status_code != HTTPStatus.ACCEPTED:
            raise SystemExit(f"answered {answer.status_code}: {answer.text}")
        self.probes += len(events)

    def memory(self) -> None:
        for name in ("api", "worker"):
            resident = psutil.Process(self._instance.pids[name]).memory_info().rss / 1e6
            self._table.add(f"RSS of {name} after {self.sent / 1e6:.1f} million events, MB", resident, "< 200")


def _view(account: str, product: int, moment: datetime) -> dict[str, str]:
    about = {"ref_type": "Product", "ref_id": f"p{product}", "occurred_at": moment.isoformat()}
    return {"account_id": account, "event_type": "view", **about}


def _limit(table: Table, seconds: float) -> None:
    """The HTTP limit in the same run."""
    with fastapi_alone() as port:
        for connections, events in ((1, 1), (32, 1), (32, 100)):
            result = load(HOST, port, requests(HOST, events), connections=connections, seconds=seconds)
            if set(result.statuses) != {HTTPStatus.ACCEPTED} or result.cut:
                raise SystemExit(f"FastAPI alone answered {dict(result.statuses)}, cut: {result.cut}")
            name = f"FastAPI alone, {events} a request, {connections} connections"
            table.add(f"{name}: events/s", result.answers * events / result.seconds)
            table.add(f"{name}: p50 ms", result.percentile_ms(50))


def main(
    quick: Annotated[bool, typer.Option(help="One short round.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for spine.md and spine.json.")] = None,
    rounds: int = 3,
    seconds: float = 20.0,
) -> None:
    if quick:
        rounds, seconds = 1, 4.0
    table = Table()
    with data_folder() as folder:
        with footfall_up(folder):
            pass
        with footfall_up(folder) as (instance, start_s):
            machine = describe_machine(instance)
            table.add("start of `footfall up` after the first time, s", start_s, "≤ 6")
            bench = Bench(instance, table, seconds)
            bench.accept(1, 1)
            table.values = {name: values for name, values in table.values.items() if name.startswith("start")}
            for number in range(rounds):
                print(f"round {number + 1}")
                _limit(table, seconds / 4)
                bench.accept(1, 1, p50_target="≤ 1.5")
                drained = bench.accept(32, 1, rate_target="≥ 3,500")
                bench.accept(32, 100, rate_target="≥ 34,000")
                bench.visible(drained / 2)
                bench.reads()
            bench.memory()
    page = f"{machine}\n\n{table.markdown()}\n"
    print(page)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "spine.md").write_text(f"# The whole way of an interaction\n\n`python -m bench.spine`\n\n{page}")
        (out / "spine.json").write_text(json.dumps({"machine": machine, "figures": table.values}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
