"""The TypeScript client in Node, against a real Footfall: nothing lost, nothing twice."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from domain.event_types import load_event_weights
from tests.clients.conftest import Target
from tests.clients.npm import BUILT, CLIENT, built_client, npm
from tests.clients.openapi_types import TYPES, made_types
from tests.clients.recorded import distinct, history, until_recorded_once
from tests.e2e.securing import AUDIENCE, ISSUER, Issuer, running_api, running_issuer

Said = dict[str, Any]


@pytest.fixture(autouse=True)
def _built() -> None:
    built_client()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        running.add_ec("key")
        yield running


class Script:
    """One of test/real, running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[Said] = []

    async def until_recorded(self, count: int) -> None:
        while not any(said.get("recorded", 0) >= count for said in self.said):
            assert await self._read(), "it ended before"

    async def end(self) -> Said:
        """The last that it said."""
        while await self._read():
            pass
        assert await self._process.wait() == 0
        return self.said[-1]

    async def _read(self) -> bool:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if line:
            self.said.append(json.loads(line))
        return bool(line)


@asynccontextmanager
async def running(name: str, plan: Said) -> AsyncIterator[Script]:
    process = await asyncio.create_subprocess_exec(
        "node",
        BUILT / "test" / "real" / f"{name}.js",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan).encode())
    process.stdin.close()
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(name: str, plan: Said) -> Said:
    async with running(name, plan) as script:
        return await script.end()


def plan(closed: Target, sent: list[Said], *, options: Said | None = None, **more: Any) -> Said:
    usual = {"url": closed.stack.url, "apiKey": closed.key, "flushIntervalMs": 50, "retryBaseMs": 100}
    return {
        "options": {**usual, **(options or {})},
        "interactions": sent,
        "end": "close",
        "endTimeoutMs": 90_000,
        **more,
    }


def test_it_passes_its_own_tests_and_checks() -> None:
    npm("run", "check")
    npm("test")


def test_its_types_are_those_of_the_interface() -> None:
    assert TYPES.read_text() == made_types(), "python -m tests.clients.openapi_types"


def test_it_names_the_event_types_that_have_a_weight() -> None:
    script = "import('./src/index.js').then((one) => console.log(JSON.stringify(one.WEIGHTED_EVENT_TYPES)))"
    done = subprocess.run(["node", "-e", script], cwd=BUILT, check=True, capture_output=True)
    assert set(json.loads(done.stdout)) == set(load_event_weights())


def test_what_is_published_is_the_client_alone() -> None:
    npm("run", "build")
    packed = json.loads(npm("pack", "--dry-run", "--json", "--ignore-scripts"))[0]
    files = {one["path"] for one in packed["files"]}
    assert {"LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.d.ts", "dist/openapi.d.ts"} <= files
    assert all(one.startswith("dist/") for one in files - {"LICENSE", "README.md", "package.json"})
    described = json.loads((CLIENT / "package.json").read_text())
    assert "dependencies" not in described
    assert "resolved" not in (CLIENT / "package-lock.json").read_text()


async def test_an_api_that_is_killed_costs_nothing(closed: Target) -> None:
    sent = distinct(1_200)
    async with running("record", plan(closed, sent, options={"batchSize": 20}, paceMs=3)) as script:
        for count in (200, 700):
            await script.until_recorded(count)
            closed.stack.kill("api")
            await script.until_recorded(count + 200)
            closed.stack.start("api")
        said = await script.end()
    assert said["counts"] == [{"queued": 0, "recorded": 1_200, "rejected": 0, "dropped": 0}]
    assert said["retries"]
    await until_recorded_once(closed, sent, said["ids"])


async def test_answers_that_are_lost_count_nothing_twice(closed: Target) -> None:
    sent = distinct(300)
    said = await run("record", plan(closed, sent, options={"batchSize": 20}, loseAnswers=True))
    assert said["lost"] > 5
    assert said["counts"][0]["recorded"] == 300
    await until_recorded_once(closed, sent, said["ids"])


async def test_a_rate_limit_is_kept_to(closed: Target) -> None:
    sent = distinct(120)
    with running_api(closed.stack, FOOTFALL_RATE_LIMIT_CALLER="50/second") as limited:
        said = await run("record", plan(closed, sent, options={"url": limited.url, "batchSize": 25}))
    assert any(reason.startswith("429") for reason in said["retries"])
    assert said["counts"][0]["recorded"] == 120
    await until_recorded_once(closed, sent, said["ids"])


async def test_an_api_without_room_is_asked_again(closed: Target) -> None:
    sent = distinct(120)
    with running_api(closed.stack, FOOTFALL_REQUESTS_AT_ONCE="1") as small:
        options = {"url": small.url, "batchSize": 1, "flushIntervalMs": 0}
        said = await run("record", plan(closed, sent, options=options, clients=12))
    assert any(reason.startswith("503") for reason in said["retries"])
    assert sum(one["recorded"] for one in said["counts"]) == 120
    await until_recorded_once(closed, sent, said["ids"])


async def test_a_process_that_ends_sends_what_it_has(closed: Target) -> None:
    sent = distinct(50)
    said = await run("record", plan(closed, sent, options={"flushIntervalMs": 3_600_000}, end="leave"))
    assert said["counts"] == [{"queued": 0, "recorded": 50, "rejected": 0, "dropped": 0}]
    await until_recorded_once(closed, sent, said["ids"])


async def test_a_process_that_ends_without_a_server_says_what_is_lost(closed: Target) -> None:
    sent = distinct(50)
    options = {"url": "http://127.0.0.1:9", "exitTimeoutMs": 500}
    said = await run("record", plan(closed, sent, options=options, end="leave"))
    assert said["counts"] == [{"queued": 0, "recorded": 0, "rejected": 0, "dropped": 50}]
    assert [one["id"] for one in said["dropped"]] == said["ids"]
    assert {one["reason"] for one in said["dropped"]} == {"exit"}


async def test_a_queue_that_is_full_says_what_it_drops(closed: Target) -> None:
    sent = distinct(30)
    options = {"url": "http://127.0.0.1:9", "maxQueued": 20}
    said = await run("record", plan(closed, sent, options=options, endTimeoutMs=1))
    assert said["ids"][20:] == [None] * 10
    assert [one["reason"] for one in said["dropped"]] == ["full"] * 10 + ["exit"] * 20


async def test_one_that_is_invalid_holds_back_no_other(closed: Target) -> None:
    sent = distinct(40)
    bad: dict[int, Said] = {
        3: {"ref_type": "Shop"},
        17: {"ref_id": "lone \ud800 surrogate"},
        18: {"metadata": {"price": "cheap"}},
    }
    mixed = [{**one, **bad.get(index, {})} for index, one in enumerate(sent)]
    said = await run("record", plan(closed, mixed))
    assert {said["ids"].index(one["id"]) for one in said["rejected"]} == set(bad)
    reasons = {said["ids"].index(one["id"]): one["reason"] for one in said["rejected"]}
    assert reasons[3].startswith("#/ref_type: ")
    assert "surrogate" in reasons[17]
    assert reasons[18].startswith("#/metadata/price: ")
    good = [index for index in range(40) if index not in bad]
    await until_recorded_once(closed, [sent[index] for index in good], [said["ids"][index] for index in good])


async def test_a_body_that_is_too_large_is_divided(closed: Target) -> None:
    sent = distinct(40)
    large = {**distinct(1)[0], "metadata": {"note": "x" * 3_000}}
    with running_api(closed.stack, FOOTFALL_MAX_BODY_BYTES="2048") as narrow:
        said = await run("record", plan(closed, [*sent, large], options={"url": narrow.url}))
    assert [(one["id"], one["status"]) for one in said["rejected"]] == [(said["ids"][-1], 413)]
    await until_recorded_once(closed, sent, said["ids"][:-1])


async def test_a_key_that_is_none_is_told(closed: Target) -> None:
    sent = distinct(30)
    said = await run("record", plan(closed, sent, options={"apiKey": "nonsense"}))
    assert [one["status"] for one in said["rejected"]] == [401] * 30
    assert said["retries"] == []


async def test_a_token_writes_for_its_own_account(closed: Target, issuer: Issuer, asking: httpx.AsyncClient) -> None:
    sent = distinct(10, accounts=1)
    foreign = distinct(1)[0]
    silent = [{key: value for key, value in one.items() if key != "account_id"} for one in sent[:5]]
    taking = {"FOOTFALL_JWKS_URL": issuer.url, "FOOTFALL_JWT_ISSUER": ISSUER, "FOOTFALL_JWT_AUDIENCE": AUDIENCE}
    with running_api(closed.stack, **taking) as api:
        options = {"url": api.url, "apiKey": None, "token": issuer.token(sent[0]["account_id"], "key")}
        without_key = {name: value for name, value in options.items() if value is not None}
        asked = plan(closed, [*silent, foreign, *sent[5:]], options=without_key)
        del asked["options"]["apiKey"]
        said = await run("record", asked)
    assert [(one["id"], one["status"]) for one in said["rejected"]] == [(said["ids"][5], 403)]
    assert await history(asking, foreign["account_id"]) == []
    await until_recorded_once(closed, sent, [*said["ids"][:5], *said["ids"][6:]])


async def test_reads(closed: Target) -> None:
    sent = distinct(3, accounts=1)
    said = await run("record", plan(closed, sent))
    account, product = sent[0]["account_id"], sent[0]["ref_id"]
    asked = {"url": closed.stack.url, "apiKey": closed.key, "account": account, "product": product}
    await until_recorded_once(closed, sent, said["ids"])
    found = await run("read", {**asked, "event": said["ids"][0]})
    assert found["receipt"]["state"] == "done"
    items = [*found["history"]["items"], *found["rest"]["items"]]
    assert sorted(one["event_id"] for one in items) == sorted(said["ids"])
    assert len(found["top"]["items"]) == 1
    assert found["popularity"]["view_count"] == 3
    assert found["recommendations"]["account_id"] == account
    assert found["missing"]["status"] == 404
    assert json.loads(found["missing"]["body"])["status"] == 404
