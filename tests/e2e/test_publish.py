"""What is accepted gets to the topic whatever dies on the way, and nothing else does."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from migrations.runner import migrate_postgres
from runtime.kafka.server import KafkaServer
from runtime.postgres_server import EmbeddedPostgres
from store.blocks.postgres import _EVERY_ACCOUNT
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.factories import body
from tests.kafka_server import kafka_server, new_topic
from tests.publishing import published
from tests.stack import Stack, footfall, footfall_says

Json = dict[str, Any]

_UNSET = {"FOOTFALL_KAFKA_BOOTSTRAP": "", "FOOTFALL_PUBLISH_TOPIC": ""}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One that tests kill."""
    with kafka_server(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="module")
def topic(broker: KafkaServer) -> str:
    return new_topic(broker, "published", 3)


@pytest.fixture(scope="module")
async def publishing(
    broker: KafkaServer,
    topic: str,
    postgres_server: EmbeddedPostgres,
    temporal: Temporal,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        settings = {
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
            "FOOTFALL_KAFKA_BOOTSTRAP": broker.bootstrap,
            "FOOTFALL_PUBLISH_TOPIC": topic,
            "FOOTFALL_SWEEP_AFTER_S": "2",
            "FOOTFALL_SWEEP_INTERVAL_S": "0.5",
        }
        running = Stack(url, temporal.address, tmp_path_factory.mktemp("logs"), settings)
        running.start()
        yield running
        running.stop()


@pytest.fixture
async def client(publishing: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=publishing.url, timeout=40) as http:
        yield http


async def _send(client: httpx.AsyncClient, *bodies: Json) -> Json:
    answer = await client.post("/interaction", json={"interactions": list(bodies)})
    assert answer.status_code == 202, answer.text
    accepted: Json = answer.json()
    return accepted


async def _receipt(client: httpx.AsyncClient, accepted: Json, wait: str = "30s") -> Json:
    receipt: Json = (await client.get(f"/batches/{accepted['batch_id']}", params={"wait": wait})).json()
    return receipt


@contextmanager
def _set(stack: Stack, settings: Mapping[str, str]) -> Iterator[None]:
    """Inside, what is started or run beside the stack has these settings too; what is empty is not set."""
    kept = dict(stack.settings)
    stack.settings.update(settings)
    try:
        yield
    finally:
        stack.settings.update(kept)


def _restart(stack: Stack, name: str, settings: Mapping[str, str] = {}) -> None:
    with _set(stack, settings):
        stack.kill(name)
        stack.start(name)


def _loads_librdkafka(pid: int) -> bool:
    return "librdkafka" in Path(f"/proc/{pid}/maps").read_text()


async def test_what_is_accepted_is_on_the_topic_and_what_was_known_is_not(
    publishing: Stack, client: httpx.AsyncClient, broker: KafkaServer, topic: str
) -> None:
    account = str(uuid4())
    bodies = [
        body(
            account_id=account,
            event_id=str(uuid4()),
            ref_id=f"p{number}",
            occurred_at=(datetime.now(UTC) - timedelta(days=number)).isoformat(),
            metadata={"price": 9.5},
        )
        for number in range(20)
    ]
    accepted = await _send(client, *bodies)
    receipt = await _receipt(client, accepted)
    assert receipt["fan_outs"]["publish"] == {"state": "done"}
    again = await _send(client, *bodies, body(account_id=account))
    assert again["duplicates"] == 20
    assert (await _receipt(client, again))["state"] == "done"
    items = (await client.get(f"/interactions/{account}")).json()["items"]
    found = [(key, one) for key, one in published(broker, topic) if one["account_id"] == account]
    assert len(found) == 21, "as often as they were accepted"
    assert dict(found) == {one["event_id"]: one for one in items}
    assert _loads_librdkafka(publishing.processes["worker"].pid)
    assert not _loads_librdkafka(publishing.processes["api"].pid)


async def test_where_it_is_not_set_nothing_of_it_is_there(stack: Stack, http: httpx.AsyncClient) -> None:
    receipt = await _receipt(http, await _send(http, body()))
    assert "publish" not in receipt["fan_outs"]
    assert not _loads_librdkafka(stack.processes["worker"].pid)


async def test_a_broker_that_is_down_holds_up_nobody_and_gets_everything(
    client: httpx.AsyncClient, broker: KafkaServer, topic: str
) -> None:
    product = str(uuid4())
    broker.kill()
    accepted = []
    for number in range(100):
        accepted.append(
            await _send(client, *(body(ref_id=product, account_id=f"{product}-{number}") for _ in range(5)))
        )
        await asyncio.sleep(0.02)

    async def counted() -> None:
        answer = await client.get(f"/popularity/{product}")
        assert answer.status_code == 200
        assert answer.json()["view_count"] == 500

    await eventually(counted)
    receipt = await _receipt(client, accepted[0], "0s")
    assert receipt["fan_outs"] == {
        **{name: {"state": "done"} for name in ("persist", "popularity", "recommendations", "experiments")},
        "publish": {"state": "waiting"},
    }
    broker.start()

    async def done() -> None:
        for one in accepted:
            assert (await _receipt(client, one, "0s"))["state"] == "done"

    await eventually(done, within_s=90)
    ids = {event_id for one in accepted for event_id in one["event_ids"]}
    assert ids <= {key for key, _ in published(broker, topic)}


async def test_a_worker_that_is_killed_leaves_nothing_out(
    publishing: Stack, client: httpx.AsyncClient, broker: KafkaServer, topic: str
) -> None:
    account = str(uuid4())
    accepted: list[Json] = []

    async def send(number: int) -> None:
        accepted.append(await _send(client, *(body(account_id=account, ref_id=f"p{number}") for _ in range(500))))

    for kill in range(3):
        sending = asyncio.gather(*(send(number) for number in range(10)))
        await asyncio.sleep(0.1 * kill)
        publishing.kill("worker")
        publishing.start("worker")
        await sending

    async def done() -> None:
        for one in accepted:
            assert (await _receipt(client, one, "0s"))["state"] == "done"

    await eventually(done, within_s=90)
    found = Counter(key for key, one in published(broker, topic) if one["account_id"] == account)
    assert found.keys() == {event_id for one in accepted for event_id in one["event_ids"]}
    assert len(found) == 15_000


async def test_a_worker_without_the_setting_parks_and_any_shell_replays(
    publishing: Stack, client: httpx.AsyncClient, broker: KafkaServer, topic: str
) -> None:
    """The API and the worker disagree, and the shell knows nothing of a topic."""
    _restart(publishing, "worker", _UNSET)
    accepted = await _send(client, body())

    async def parked() -> Json:
        receipt = await _receipt(client, accepted, "0s")
        assert receipt["state"] == "parked"
        return receipt

    reason = (await eventually(parked))["fan_outs"]["publish"]["reason"]
    assert "no FOOTFALL_PUBLISH_TOPIC" in reason
    _restart(publishing, "worker")
    with _set(publishing, _UNSET):
        shown = await footfall_says(publishing, "fan-outs", "show", accepted["batch_id"])
        assert "no FOOTFALL_PUBLISH_TOPIC" in shown
        said = await footfall_says(publishing, "fan-outs", "replay", "--fan-out", "publish")
    assert "nothing is parked again" in said
    assert accepted["event_ids"][0] in dict(published(broker, topic))


async def test_given_up_it_is_never_published(
    publishing: Stack, client: httpx.AsyncClient, broker: KafkaServer, topic: str
) -> None:
    _restart(publishing, "worker", _UNSET)
    accepted = await _send(client, body())

    async def parked() -> None:
        assert (await _receipt(client, accepted, "0s"))["state"] == "parked"

    await eventually(parked)
    await footfall_says(publishing, "fan-outs", "discard", "--all", "--because", "no topic any more")
    receipt = await _receipt(client, accepted)
    assert receipt["fan_outs"]["publish"] == {"state": "discarded", "reason": "no topic any more"}
    _restart(publishing, "worker")
    assert accepted["event_ids"][0] not in dict(published(broker, topic))


async def test_what_an_api_without_the_setting_lets_in_is_published_too(
    publishing: Stack, client: httpx.AsyncClient, broker: KafkaServer, topic: str
) -> None:
    """By way of the sweeper, since the worker does not release it."""
    _restart(publishing, "api", _UNSET)
    accepted = await _send(client, body())
    assert (await _receipt(client, accepted))["state"] == "done"
    _restart(publishing, "api")
    assert accepted["event_ids"][0] in dict(published(broker, topic))


async def test_what_was_recorded_before_is_published_from_the_blocks(
    publishing: Stack, client: httpx.AsyncClient, broker: KafkaServer
) -> None:
    """Into a topic that is new; then once more from a place on, under the same keys."""
    long_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    sent = [body(account_id=f"old-{number}", occurred_at=long_ago) for number in range(40)]
    accepted = await _send(client, *sent, body(account_id="recent"))
    assert (await _receipt(client, accepted))["state"] == "done"
    old = accepted["event_ids"][:40]
    topic = new_topic(broker, "anew")
    with _set(publishing, {"FOOTFALL_PUBLISH_TOPIC": topic}):
        said = json.loads(await footfall_says(publishing, "publish", "--from", "41d", "--to", "39d", "--json"))
        assert said == {"topic": topic, "interactions": 40, "accounts": 40, "unreadable": 0}
        found = dict(published(broker, topic))
        assert found.keys() == set(old)
        assert found[old[0]] == (await client.get("/interactions/old-0?from=" + quote(long_ago))).json()["items"][0]

        place = f"{_EVERY_ACCOUNT.start}/old-7"
        said = json.loads(await footfall_says(publishing, "publish", "--from", "41d", "--after", place, "--json"))
        behind = published(broker, topic)[40:]
        assert said["interactions"] == len(behind)
        assert {key for key, one in behind if one["account_id"].startswith("old")} == {old[8], old[9]}
        assert accepted["event_ids"][40] in dict(behind)

        for wrong, why in (
            (("--from", "1d", "--to", "2d"), "not before --to"),
            (("--from", "1d", "--after", "there"), "none of the places"),
            (("--from", "1d", "--after", "17/alice"), "other token ranges"),
        ):
            done = await footfall(publishing, "publish", *wrong)
            assert done.code != 0
            assert why in done.err


async def test_what_comes_late_of_an_erased_account_is_not_published(
    publishing: Stack, client: httpx.AsyncClient, broker: KafkaServer, topic: str
) -> None:
    account = str(uuid4())
    await _receipt(client, await _send(client, body(account_id=account)))
    erasure = (await client.delete(f"/interactions/{account}")).json()

    async def gone() -> None:
        assert (await client.get(f"/erasures/{erasure['erasure_id']}")).json()["state"] in {"settling", "done"}

    await eventually(gone)
    late = body(account_id=account, occurred_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    assert (await _send(client, late))["duplicates"] == 1
    await _receipt(client, await _send(client, body()))
    assert sum(one["account_id"] == account for _, one in published(broker, topic)) == 1, "what went out before stays"
