"""BharatML's door beside the front door: `python -m bench.grpc_door [--quick] [--out FOLDER]`.

Both let in as much as they can, in turn, on one machine with everything else on it: compare figures of one run.
"""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
import uvloop

from bench import grpc_load
from bench.events import ACCOUNTS, bundles, requests
from bench.latency import Latency
from bench.loadgen import load
from bench.machine import describe_machine
from bench.peers.system import views, wait_until_counted
from bench.stack import data_folder, footfall_up
from bench.table import Table
from doors.bharatml import interaction_store_pb2 as pb
from doors.bharatml.service import SERVICE
from runtime.instance import Instance

HOST = "127.0.0.1"
AT_ONCE = 32
_EVENTS_A_CALL = 20
_EVENTS_A_REQUEST = 100
_HISTORY = 500
_PATIENCE_S = 300.0
_STRIDE = 7_919  # a prime: the ring meets its accounts in another order each time, so no two calls are the same


def calls(events_a_call: int) -> Callable[[], bytes]:
    """Requests of PersistClickData, each of one account; no event is ever the same as another."""
    now = int(time.time() * 1_000)
    ago_ms = itertools.count()
    ring = [
        pb.PersistClickDataRequest(
            data=[
                pb.ClickData(catalog_id=1, product_id=int(one["ref_id"][1:]), timestamp=now - next(ago_ms))
                for one in some
            ]
        ).SerializeToString()
        for some in bundles(events_a_call)
    ]
    numbers = itertools.count()

    def next_request() -> bytes:
        turn, place = divmod(next(numbers), len(ring))
        account = f"a{(place + turn * _STRIDE) % ACCOUNTS}"
        return pb.PersistClickDataRequest(user_id=account).SerializeToString() + ring[place]

    return next_request


def _load(
    address: str, method: str, next_request: Callable[[], bytes], at_once: int, seconds: float
) -> tuple[int, float, Latency]:
    """Answers, seconds and latencies."""
    host, _, port = address.rpartition(":")
    path = f"/{SERVICE}/{method}"
    took, latencies_us = uvloop.run(
        grpc_load.load(host, int(port), path, next_request, at_once=at_once, seconds=seconds)
    )
    return len(latencies_us), took, Latency(latencies_us)


class Bench:
    def __init__(self, instance: Instance, table: Table, seconds: float) -> None:
        if instance.grpc_address is None:
            raise SystemExit("FOOTFALL_GRPC_PORT is 0")
        self._instance = instance
        self._address = instance.grpc_address
        self._table = table
        self._seconds = seconds
        self._sent = views(instance.postgres_url)
        self._calls = calls(_EVENTS_A_CALL)

    def http(self) -> float:
        port = int(self._instance.api_url.rsplit(":", 1)[1])
        result = load(HOST, port, requests(HOST, _EVENTS_A_REQUEST), connections=AT_ONCE, seconds=self._seconds)
        if set(result.statuses) != {202} or result.cut:
            raise SystemExit(f"answers other than success: {dict(result.statuses)}, cut: {result.cut}")
        rate = self._recorded(result.answers * _EVENTS_A_REQUEST, result.seconds)
        self._table.add(f"HTTP, {_EVENTS_A_REQUEST} a request, {AT_ONCE} connections: accepted events/s", rate)
        return rate

    def grpc(self) -> float:
        answers, seconds, latency = _load(self._address, "PersistClickData", self._calls, AT_ONCE, self._seconds)
        rate = self._recorded(answers * _EVENTS_A_CALL, seconds)
        name = f"gRPC, {_EVENTS_A_CALL} a call, {AT_ONCE} at once"
        self._table.add(f"{name}: accepted events/s", rate)
        self._table.add(f"{name}: p50 ms", latency.percentile_ms(50))
        self._table.add(f"{name}: p99 ms", latency.percentile_ms(99))
        return rate

    def reads(self) -> None:
        """An account's newest 500 events, which came one by one."""
        now = int(time.time() * 1_000)
        account = f"reader-{now}"
        persist = [
            pb.PersistClickDataRequest(
                user_id=account, data=[pb.ClickData(catalog_id=1, product_id=number, timestamp=now - number)]
            ).SerializeToString()
            for number in range(_HISTORY)
        ]
        uvloop.run(_each(self._address, "PersistClickData", persist))
        self._recorded(_HISTORY, 1)
        asked = pb.RetrieveDataRequest(
            user_id=account, start_timestamp=now - 7 * 86_400_000, end_timestamp=now, limit=_HISTORY
        ).SerializeToString()
        _, _, latency = _load(self._address, "RetrieveClickInteractions", lambda: asked, 1, self._seconds / 2)
        self._table.add("RetrieveClickInteractions, 500 events: p50 ms, 1 client", latency.percentile_ms(50), "≤ 5")
        self._table.add("RetrieveClickInteractions, 500 events: p99 ms, 1 client", latency.percentile_ms(99))

    def _recorded(self, events: int, seconds: float) -> float:
        """Events a second, once all of them are in popularity and not one more."""
        self._sent += events
        wait_until_counted(lambda: views(self._instance.postgres_url), self._sent, patience_s=_PATIENCE_S)
        return events / seconds


async def _each(address: str, method: str, sent: list[bytes]) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/{method}")
        for one in sent:
            await call(one)


def main(
    quick: Annotated[bool, typer.Option(help="One short round.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for grpc_door.md and grpc_door.json.")] = None,
    rounds: int = 3,
    seconds: float = 10.0,
) -> None:
    if quick:
        rounds, seconds = 1, 4.0
    table = Table()
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        machine = describe_machine(instance)
        bench = Bench(instance, table, seconds)
        for number in range(rounds):
            print(f"round {number + 1}")
            http, by_grpc = bench.http(), bench.grpc()
            table.add("gRPC by HTTP", by_grpc / http, "≥ 0.7")
            bench.reads()
    page = f"{machine}\n\n{table.markdown()}\n"
    print(page)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "grpc_door.md").write_text(
            f"# BharatML's door beside the front door\n\n`python -m bench.grpc_door`\n\n{page}"
        )
        (out / "grpc_door.json").write_text(
            json.dumps({"machine": machine, "figures": table.values}, indent=1) + "\n"
        )


if __name__ == "__main__":
    typer.run(main)
