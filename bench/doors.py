"""What every door lets in, in one run: `python -m bench.doors [--rounds 3] [--seconds 8] [--quick] [--out FOLDER]`.

The same views through each door in turn, from the first one sent until the last one is counted in popularity. Ratios
are to JSON over HTTP at 100 a request. Then what BharatML's clients read: the last 24 weeks of an account with 500
clicks. Server, workers, databases, broker and the load generator share one machine.
"""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import grpc
import typer
import uvloop
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import grpc_load
from bench.events import ACCOUNTS, Event, bundles, requests
from bench.latency import Latency
from bench.loadgen import Result, load, post
from bench.machine import describe_machine
from bench.peers.system import HOST, views, wait_until_counted
from bench.processes import family_cpu_seconds
from bench.stack import data_folder, environment, footfall_up
from bench.table import Table, write_page
from doors.bharatml.interaction_store_pb2 import ClickData, PersistClickDataRequest, RetrieveDataRequest
from doors.bharatml.service import SERVICE
from runtime.instance import Instance
from runtime.kafka.server import VERSION, KafkaServer

_SERVICE = f"/{SERVICE}"
_A_CALL = 20
_STRIDE = 7_919
"""A prime: the ring meets its accounts in another order each time, so no two calls are the same."""
_AT_THE_MOST_PER_S = 60_000
"""More messages than that in a second of the run no consumer here has taken."""
_READ_EVENTS = 500
_READ_CALLS = 500
_DAY_MS = 86_400_000
_PATIENCE_S = 300.0
_TOPIC = "bench"
_BASE = "JSON, 100 a request"


@dataclass(frozen=True)
class Door:
    name: str
    send: Callable[[float], int]
    """Sends for so many seconds; how many events were accepted, or will be."""
    target: str = ""


def _http(instance: Instance, request: Callable[[], bytes], events: int, connections: int) -> Callable[[float], int]:
    port = _port(instance.api_url)

    def send(seconds: float) -> int:
        result = load(HOST, port, request, connections=connections, seconds=seconds)
        _insist(result, {202})
        return result.answers * events

    return send


def _ndjson(events: int) -> Callable[[], bytes]:
    def request(some: list[Event]) -> bytes:
        body = b"\n".join(json.dumps(one).encode() for one in some)
        return post(HOST, "/interaction", body, media_type="application/x-ndjson")

    return itertools.cycle([request(some) for some in bundles(events)]).__next__


def _calls() -> Callable[[], bytes]:
    """Requests of PersistClickData, each of one account; no click of one ring is ever the same as another."""
    now, ago_ms = int(time.time() * 1_000), itertools.count()
    ring = [
        PersistClickDataRequest(
            data=[
                ClickData(catalog_id=1, product_id=int(one["ref_id"][1:]), timestamp=now - next(ago_ms))
                for one in some
            ]
        ).SerializeToString()
        for some in bundles(_A_CALL)
    ]
    numbers = itertools.count()

    def next_request() -> bytes:
        turn, place = divmod(next(numbers), len(ring))
        account = f"a{(place + turn * _STRIDE) % ACCOUNTS}"
        return PersistClickDataRequest(user_id=account).SerializeToString() + ring[place]

    return next_request


def _grpc(instance: Instance, next_request: Callable[[], bytes], at_once: int) -> Callable[[float], int]:
    port = _port(_grpc_address(instance))

    def send(seconds: float) -> int:
        _, latencies = uvloop.run(
            grpc_load.load(HOST, port, f"{_SERVICE}/PersistClickData", next_request, at_once=at_once, seconds=seconds)
        )
        return len(latencies) * _A_CALL

    return send


def _grpc_address(instance: Instance) -> str:
    if instance.grpc_address is None:
        raise SystemExit("FOOTFALL_GRPC_PORT is 0")
    return instance.grpc_address


def _kafka(server: KafkaServer) -> Callable[[float], int]:
    values = [json.dumps(one).encode() for some in bundles(100) for one in some]

    def send(seconds: float) -> int:
        producer = Producer({"bootstrap.servers": server.bootstrap, "linger.ms": 5, "acks": "all"})
        ring = itertools.cycle(values)
        total = int(seconds * _AT_THE_MOST_PER_S)
        for number, value in enumerate(itertools.islice(ring, total)):
            producer.produce(_TOPIC, value)
            if number % 10_000 == 0:
                producer.poll(0)
                while len(producer) > 50_000:
                    producer.poll(0.01)
        if producer.flush(_PATIENCE_S):
            raise SystemExit("the broker did not take all messages")
        return total

    return send


@contextmanager
def _consuming(server: KafkaServer, data_dir: Path) -> Iterator["subprocess.Popen[bytes]"]:
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    topics = [NewTopic(_TOPIC, 4, 1), NewTopic(f"{_TOPIC}-dead", 1, 1)]
    for made in admin.create_topics(topics).values():
        made.result(30)
    settings = {
        "FOOTFALL_DATA_DIR": str(data_dir),
        "FOOTFALL_KAFKA_BOOTSTRAP": server.bootstrap,
        "FOOTFALL_KAFKA_TOPICS": f"{_TOPIC}=interaction",
        "FOOTFALL_KAFKA_DEAD_LETTER_TOPIC": f"{_TOPIC}-dead",
    }
    command = [sys.executable, "-m", "runtime.cli", "consume"]
    process = subprocess.Popen(command, env=environment(settings), stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


class _Counted:
    """What is in popularity has to be what was sent."""

    def __init__(self, instance: Instance) -> None:
        self._url = instance.postgres_url
        self.sent = 0

    def drained_per_s(self, door: Door, seconds: float) -> float:
        started = time.perf_counter()
        events = door.send(seconds)
        self.sent += events
        self.wait()
        return events / (time.perf_counter() - started)

    def wait(self) -> None:
        wait_until_counted(lambda: views(self._url), self.sent, patience_s=_PATIENCE_S)


def _let_in(
    doors: list[Door], counted: _Counted, pids: Mapping[str, int], rounds: int, seconds: float
) -> tuple[Table, Table]:
    rates, costs = Table(), Table()
    for door in doors:  # warm, and each way once tried
        counted.drained_per_s(door, seconds / 4)
    for number in range(rounds):
        print(f"round {number + 1}", flush=True)
        for door in doors:
            before = {name: family_cpu_seconds(pid) for name, pid in pids.items()}
            sent, rate = counted.sent, counted.drained_per_s(door, seconds)
            rates.add(f"{door.name}: events/s until counted", rate, digits=0)
            for name, pid in pids.items():
                used = (family_cpu_seconds(pid) - before[name]) / (counted.sent - sent)
                if used > 1e-6:
                    costs.add(f"{door.name}: {name}, µs an event", used * 1e6, tell=False)
    base = statistics.median(rates.values[f"{_BASE}: events/s until counted"])
    for door in doors:
        rate = statistics.median(rates.values[f"{door.name}: events/s until counted"])
        rates.add(f"{door.name}: times {_BASE}", rate / base, door.target)
    return rates, costs


def _read(instance: Instance, counted: _Counted) -> Table:
    """By grpcio's own client, as BharatML's do."""
    table, user, now_ms = Table(), f"reader-{uuid4()}", int(time.time() * 1_000)
    address = _grpc_address(instance)
    with grpc.insecure_channel(address) as channel:
        persist: Any = channel.unary_unary(f"{_SERVICE}/PersistClickData")
        for at in range(0, _READ_EVENTS, _A_CALL):
            clicks = [
                ClickData(catalog_id=1, product_id=one, timestamp=now_ms - _DAY_MS - one)
                for one in range(at, at + _A_CALL)
            ]
            persist(PersistClickDataRequest(user_id=user, data=clicks).SerializeToString(), timeout=30)
        counted.sent += _READ_EVENTS
        counted.wait()
        retrieve: Any = channel.unary_unary(f"{_SERVICE}/RetrieveClickInteractions")
        asked = RetrieveDataRequest(
            user_id=user, start_timestamp=now_ms - 160 * _DAY_MS, end_timestamp=now_ms, limit=_READ_EVENTS
        ).SerializeToString()
        took = []
        for _ in range(_READ_CALLS):
            started = time.perf_counter()
            retrieve(asked, timeout=30)
            took.append((time.perf_counter() - started) * 1e6)
    latency = Latency(took)
    table.add("retrieve 500 clicks of 24 weeks, 1 client: p50 ms", latency.percentile_ms(50), "≤ 5")
    table.add("retrieve 500 clicks of 24 weeks, 1 client: p99 ms", latency.percentile_ms(99))
    return table


def _insist(result: Result, meant: set[int]) -> None:
    if set(result.statuses) != meant or result.cut:
        raise SystemExit(f"answers {dict(result.statuses)}, cut: {result.cut}")


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def main(
    rounds: int = 3,
    seconds: Annotated[float, typer.Option(help="How long each door is used in a round.")] = 8.0,
    quick: Annotated[bool, typer.Option(help="One short round.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for doors.md and doors.json.")] = None,
) -> None:
    if quick:
        rounds, seconds = 1, 3.0
    with data_folder() as folder, footfall_up(folder / "footfall") as (instance, _):
        server = KafkaServer(folder / "kafka", folder / "logs", heap_mb=512)
        server.start()
        try:
            with _consuming(server, folder / "footfall") as consumer:
                machine = f"Kafka {VERSION}; {describe_machine(instance)}"
                assert server.process is not None
                parts = ("api", "grpc", "worker", "postgres", "temporal")
                pids = {name: instance.pids[name] for name in parts}
                pids |= {"consume": consumer.pid, "kafka": server.process.pid}
                calls = _calls()
                doors = [
                    Door(_BASE, _http(instance, requests(HOST, 100), 100, 32)),
                    Door("NDJSON, 100 a request", _http(instance, _ndjson(100), 100, 32), "≥ 1"),
                    Door("JSON, 1,000 a request", _http(instance, requests(HOST, 1_000), 1_000, 8)),
                    Door("NDJSON, 1,000 a request", _http(instance, _ndjson(1_000), 1_000, 8)),
                    Door("NDJSON, 10,000 a request", _http(instance, _ndjson(10_000), 10_000, 2)),
                    Door(f"gRPC, {_A_CALL} a call, 32 calls at once", _grpc(instance, calls, 32)),
                    # As many events under way as JSON has.
                    Door(f"gRPC, {_A_CALL} a call, 160 calls at once", _grpc(instance, calls, 160), "≥ 0.7"),
                    Door("Kafka, one a message", _kafka(server), "≥ 0.7"),
                ]
                counted = _Counted(instance)
                rates, costs = _let_in(doors, counted, pids, rounds, seconds)
                reads = _read(instance, counted)
        finally:
            server.stop()
    tables = {"Let in": rates, "Processor time": costs, "Read by gRPC": reads}
    if out is not None:
        write_page(out, "doors", "Doors beside each other", machine, tables)


if __name__ == "__main__":
    typer.run(main)
