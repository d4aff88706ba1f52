"""The demo's shop in a running Footfall, with a model that was trained from it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from domain.ids import id_text, new_id_bytes
from domain.week import from_us
from migrations.runner import migrate_postgres
from runtime.demo_shop import DemoShop
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.stack import Stack

_EVENTS = 12_000
ACCOUNTS = 300
_DAY_US = 86_400_000_000


class Shop:
    """A running Footfall with a recommender, and the demo's shop in it, whose tastes are known."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient, demo: DemoShop) -> None:
        self.stack = stack
        self.http = http
        self.demo = demo
        self.category_of = {product.id: product.category for product in demo.products}

    async def record(self, events: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(events), 1_000):
            answer = await self.http.post("/interaction", json={"interactions": events[start : start + 1_000]})
            assert answer.status_code == 202, answer.text
        batch = f"/batches/{answer.json()['batch_id']}?wait=30s"
        assert (await self.http.get(batch)).json()["state"] == "done"

    async def ask(self, account_id: str, **parameters: Any) -> dict[str, Any]:
        answer = await self.http.get(f"/recommendations/{account_id}", params=parameters)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def categories(self, answer: dict[str, Any], most: int = 10) -> list[int]:
        return [self.category_of[item["item_id"]] for item in answer["items"][:most]]

    async def footfall(self, *arguments: str) -> dict[str, Any]:
        """What a command of the command line says, as JSON."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runtime.cli", *arguments, "--json",
            env=self.stack.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, errors = await process.communicate()
        assert process.returncode == 0, (out.decode(), errors.decode())
        said: dict[str, Any] = json.loads(out)
        return said

    async def answered_by(self, version: str) -> None:
        async def check() -> None:
            assert (await self.ask("account-1"))["model_version"] == version

        await eventually(check)


def _fields(events: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {**one.fields, "event_id": id_text(new_id_bytes()), "occurred_at": from_us(one.occurred_at_us).isoformat()}
        for one in events
    ]


@asynccontextmanager
async def trained_shop(
    postgres_server: EmbeddedPostgres, temporal: Temporal, logs: Path, models: Path
) -> AsyncIterator[Shop]:
    namespace = await new_namespace(temporal.address)
    port = str(free_port("127.0.0.1", 0))
    settings = {
        "TEMPORAL_NAMESPACE": namespace,
        "FOOTFALL_RECOMMENDER_PORT": port,
        "FOOTFALL_RECOMMENDER_URL": f"http://127.0.0.1:{port}",
        "FOOTFALL_MODELS_URL": str(models),
        "OMP_NUM_THREADS": str(os.cpu_count()),
    }
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        stack = Stack(url, temporal.address, logs, settings)
        try:
            stack.start("worker", "recommender", "api")
            start_us = time.time_ns() // 1_000 - 20 * _DAY_US
            demo = DemoShop(seed=5, accounts=ACCOUNTS, products=600, rate=_EVENTS / (19 * 86_400), start_us=start_us)
            async with httpx.AsyncClient(base_url=stack.url, timeout=60) as http:
                made = Shop(stack, http, demo)
                assert (await http.put("/items", json={"items": demo.items()})).is_success
                await made.record(_fields(demo.take(_EVENTS)))
                trained = await made.footfall("train")
                assert trained["registered"]["state"] == "current", trained
                await made.answered_by(trained["version"])
                yield made
        finally:
            stack.stop()
