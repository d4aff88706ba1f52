"""`footfall consume` as a process, and what became of what it read."""

import asyncio
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from runtime.kafka.server import KafkaServer
from runtime.ports import free_port
from tests.conftest import eventually
from tests.factories import body
from tests.kafka_server import committed, new_topic, read_all
from tests.stack import Stack, footfall

_PATIENCE_S = 60.0


@dataclass
class Consuming:
    """One group on topics of its own; its processes can be killed, and others started."""

    stack: Stack
    kafka: KafkaServer
    topics: dict[str, str]
    """Topic → format."""
    dead_letters: str
    settings: dict[str, str] = field(default_factory=dict)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    metrics_ports: list[int] = field(default_factory=list)

    @property
    def group(self) -> str:
        return f"group-{self.dead_letters}"

    def start(self) -> "subprocess.Popen[bytes]":
        port = free_port("127.0.0.1", 0)
        environment = {
            **self.stack.environment,
            "FOOTFALL_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "FOOTFALL_KAFKA_TOPICS": ",".join(f"{topic}={name}" for topic, name in self.topics.items()),
            "FOOTFALL_KAFKA_GROUP": self.group,
            "FOOTFALL_KAFKA_DEAD_LETTER_TOPIC": self.dead_letters,
            "FOOTFALL_CONSUMER_METRICS_PORT": str(port),
            **self.settings,
        }
        with self._log_file(len(self.processes)).open("ab") as log:
            process = subprocess.Popen(
                self.stack.command("consume"), env=environment, cwd=self.stack.code, stdout=log, stderr=log
            )
        self.processes.append(process)
        self.metrics_ports.append(port)
        return process

    def end(self, process: "subprocess.Popen[bytes]", sign: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        process.send_signal(sign)
        return process.wait(_PATIENCE_S)

    def metrics(self, number: int = -1) -> dict[tuple[str, ...], float]:
        """(Name, label values by the labels' names …) → value, of a process by the order of their start."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_ports[number]}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def is_telling(self, number: int = -1) -> bool:
        try:
            self.metrics(number)
        except OSError:
            return False
        return True

    def log(self, number: int = -1) -> str:
        return self._log_file(len(self.processes) + number if number < 0 else number).read_text()

    def _log_file(self, number: int) -> Path:
        return self.stack.logs / f"{self.group}-{number}.log"

    async def until_read(self, topic: str, messages: int) -> None:
        """Until the group has committed to go on behind so many messages, of all partitions together."""

        async def check() -> None:
            done = await asyncio.to_thread(committed, self.kafka, self.group, topic)
            assert sum(done.values()) == messages, done
            assert all(one.poll() is None or one.returncode in {0, -signal.SIGKILL} for one in self.processes)

        await eventually(check, within_s=_PATIENCE_S)

    def dead(self) -> list[tuple[bytes | None, dict[str, str]]]:
        """Value and headers of the dead letters."""
        return [
            (one.value(), {name: _text(value) for name, value in dict(one.headers() or []).items()})
            for one in read_all(self.kafka, self.dead_letters)
        ]


@contextmanager
def consuming(
    stack: Stack, kafka: KafkaServer, formats: Iterable[str], partitions: int = 1, **settings: str
) -> Iterator[Consuming]:
    """A group with a topic for each format; no process is started yet."""
    topics = {new_topic(kafka, name, partitions): name for name in formats}
    one = Consuming(stack, kafka, topics, new_topic(kafka, "dead"), settings)
    try:
        yield one
    finally:
        for process in one.processes:
            process.kill()
            process.wait()


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


async def until(holds: Callable[[], bool]) -> None:
    async def check() -> None:
        assert holds()

    await eventually(check, within_s=_PATIENCE_S)


def unique(stem: str) -> str:
    return f"{stem}-{os.urandom(4).hex()}"


def views(product: str, count: int, **fields: Any) -> list[bytes]:
    """Messages of one view each, of different accounts."""
    return [
        json.dumps(body(account_id=f"{product}-{number}", ref_id=product, **fields)).encode()
        for number in range(count)
    ]


async def view_count(stack: Stack, product: str) -> int:
    connection = await asyncpg.connect(stack.database_url)
    try:
        found = await connection.fetchval("SELECT view_count FROM product_popularity WHERE product_id = $1", product)
    finally:
        await connection.close()
    return int(found or 0)


async def until_counted(stack: Stack, product: str, views: int) -> None:
    """Until all that was accepted is worked off; then popularity has so many, and all is as the blocks have it."""

    async def check() -> None:
        connection = await asyncpg.connect(stack.database_url)
        try:
            assert await connection.fetchval("SELECT count(*) FROM intake_log") == 0
        finally:
            await connection.close()

    await eventually(check, within_s=_PATIENCE_S)
    assert await view_count(stack, product) == views
    verified = await footfall(stack, "verify", "--json")
    assert verified.code == 0, verified.out + verified.err
