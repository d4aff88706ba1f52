"""The same clicks through every door read back equal and count once, also where all doors bring the same ones."""

import asyncio
import gzip
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.ids import id_text
from doors.bharatml.interaction_store_pb2 import ClickData
from doors.bharatml.mapping import of_clicks
from footfall_client import Interaction
from runtime.kafka.server import KafkaServer
from tests.clients.driving import driven
from tests.clients.npm import built_client
from tests.clients.test_typescript_client import run
from tests.conftest import eventually
from tests.doors.bharatml.client import Client, click, connected, grpc_beside
from tests.doors.kafka.consuming import Consuming, consuming
from tests.factories import now_us
from tests.kafka_server import produce
from tests.stack import Stack

_CLICKS = 40
_NDJSON = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}


@dataclass
class Doors:
    stack: Stack
    http: httpx.AsyncClient
    grpc: Client
    consuming: Consuming

    async def json(self, clicks: list[dict[str, Any]]) -> None:
        answer = await self.http.post("/interaction", json={"interactions": clicks})
        assert answer.status_code == 202, answer.text

    async def ndjson(self, clicks: list[dict[str, Any]]) -> None:
        lines = gzip.compress("\n".join(map(json.dumps, clicks)).encode())
        answer = await self.http.post("/interaction", content=lines, headers=_NDJSON)
        assert answer.status_code == 202, answer.text

    async def bharatml(self, clicks: list[dict[str, Any]]) -> None:
        """Which has no ids on the wire."""
        sent = [
            click(
                int(one["ref_id"]),
                _milliseconds(one["occurred_at"]),
                catalog_id=one["metadata"]["catalog_id"],
                metadata=one["metadata"]["bharatml_metadata"],
            )
            for one in clicks
        ]
        answer = await self.grpc.PersistClickData(user_id=clicks[0]["account_id"], data=sent)
        assert answer.message == "success"

    async def kafka(self, clicks: list[dict[str, Any]]) -> None:
        [topic] = self.consuming.topics
        values = [json.dumps(one).encode() for one in clicks]
        await asyncio.to_thread(produce, self.consuming.kafka, topic, values)

    async def python(self, clicks: list[dict[str, Any]]) -> None:
        async with driven("sync", self.stack.url) as client:
            for one in clicks:
                ids = {"event_id": UUID(one["event_id"])} if "event_id" in one else {}
                rest = {**one, **ids, "occurred_at": datetime.fromisoformat(one["occurred_at"])}
                client.record(Interaction(**rest))

    async def typescript(self, clicks: list[dict[str, Any]]) -> None:
        plan = {"options": {"url": self.stack.url}, "interactions": clicks, "end": "close", "endTimeoutMs": 60_000}
        said = await run("record", plan)
        assert (said["rejected"], said["dropped"]) == ([], [])

    def all(self) -> dict[str, Callable[[list[dict[str, Any]]], Awaitable[None]]]:
        return {
            "json": self.json,
            "ndjson": self.ndjson,
            "bharatml": self.bharatml,
            "kafka": self.kafka,
            "python": self.python,
            "typescript": self.typescript,
        }


@pytest.fixture
async def doors(stack: Stack, http: httpx.AsyncClient, kafka: KafkaServer) -> AsyncIterator[Doors]:
    built_client()
    with grpc_beside(stack) as other, consuming(stack, kafka, ["interaction"]) as consumer:
        consumer.start()
        async with connected(other) as client:
            yield Doors(stack, http, client, consumer)


def _clicks(account: str, product: int) -> list[dict[str, Any]]:
    """As every door can tell them: whole milliseconds, and metadata as BharatML's are kept."""
    text = '{"price":"12.50"}'
    start = now_us() // 1_000 * 1_000
    return [
        {
            "account_id": account,
            "event_type": "view",
            "ref_type": "Product",
            "ref_id": str(product),
            "occurred_at": _moment(start - number * 60_000_000),
            "metadata": {"catalog_id": number + 1, "price": "12.50", "bharatml_metadata": text},
        }
        for number in range(_CLICKS)
    ]


def _with_ids(clicks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With those ids that BharatML's door derives."""
    sent = [
        ClickData(
            catalog_id=one["metadata"]["catalog_id"],
            product_id=int(one["ref_id"]),
            timestamp=_milliseconds(one["occurred_at"]),
            metadata=one["metadata"]["bharatml_metadata"],
        )
        for one in clicks
    ]
    derived = of_clicks(clicks[0]["account_id"], sent, now_us())
    return [{**one, "event_id": id_text(made.event_id)} for one, made in zip(clicks, derived, strict=True)]


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1_000)


async def _history(http: httpx.AsyncClient, account: str) -> list[dict[str, Any]]:
    answer = await http.get(f"/interactions/{account}", params={"limit": 2_000})
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def _until_counted(http: httpx.AsyncClient, product: int, count: int) -> None:
    async def counted() -> None:
        answer = await http.get(f"/popularity/{product}")
        assert answer.status_code == 200
        assert answer.json()["view_count"] == count

    await eventually(counted, within_s=120)


def _same(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is each door's own."""
    own = {"account_id", "event_id", "user_agent", "ip_address"}
    return [
        {key: datetime.fromisoformat(value) if key == "occurred_at" else value for key, value in one.items()}
        for one in ({key: one[key] for key in one.keys() - own} for one in items)
    ]


async def test_what_came_through_any_door_reads_back_equal_and_counts_once(doors: Doors) -> None:
    product, run_id = random.randrange(2**30), uuid4().hex[:12]
    sent = _clicks("", product)
    for name, send in doors.all().items():
        await send([{**one, "account_id": f"{name}-{run_id}"} for one in sent])
    await _until_counted(doors.http, product, _CLICKS * len(doors.all()))
    for name in doors.all():
        assert _same(await _history(doors.http, f"{name}-{run_id}")) == _same(sent), name


async def test_the_same_ones_through_all_doors_at_once_count_once(doors: Doors) -> None:
    product, account = random.randrange(2**30), f"all-{uuid4().hex[:12]}"
    sent = _with_ids(_clicks(account, product))
    everywhere = doors.all().values()
    for _ in range(2):
        await asyncio.gather(*(send(sent) for send in everywhere))
    [topic] = doors.consuming.topics
    await doors.consuming.until_read(topic, 2 * _CLICKS)
    await _until_counted(doors.http, product, _CLICKS)
    assert [one["event_id"] for one in await _history(doors.http, account)] == [one["event_id"] for one in sent]
