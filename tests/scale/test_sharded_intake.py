"""An intake divided over two PostgreSQL servers: two whole Footfalls, and a client that divides by account."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from domain.event_types import UNITS_PER_POINT, load_event_weights
from domain.shard import Shard, shard_of
from runtime.connections import migrate_stores
from runtime.postgres_server import EmbeddedPostgres
from runtime.settings import Settings
from store.cql import CqlCluster
from tests.conftest import Temporal, new_database, new_namespace
from tests.cql import in_keyspace, scylla_settings
from tests.factories import body
from tests.faults.check import drained, judge
from tests.scale.loads import Routed
from tests.stack import Stack, footfall_says

SHARDS = 2
LOAD_S = 10.0
AWAY_S = 4.0


@dataclass
class Divided:
    """The shards, and the PostgreSQL of the last one, which can be killed."""

    stacks: list[Stack]
    postgres: EmbeddedPostgres

    def settings(self, number: int) -> Settings:
        stack = self.stacks[number]
        return Settings.model_validate({**stack.settings, "postgres_url": stack.database_url})

    def kill_postgres(self) -> None:
        """The server and its children, at once."""
        assert self.postgres.process is not None
        parent = psutil.Process(self.postgres.process.pid)
        for process in [parent, *parent.children(recursive=True)]:
            process.kill()
        self.postgres.process.wait()


@pytest.fixture(scope="module", params=["blocks in each PostgreSQL", "blocks in one Cassandra"])
async def divided(
    request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path
) -> AsyncIterator[Divided]:
    """Of each shard its own: PostgreSQL server, Temporal namespace, and, where they share a Cassandra, keyspace."""
    name = uuid4().hex[:8]
    another = EmbeddedPostgres(servers_dir / f"postgres-{name}", servers_dir / f"logs-{name}")
    another.start()
    stacks = []
    async with new_database(postgres_server.url) as url:
        for number, database_url in enumerate([url, another.url]):
            logs = servers_dir / f"logs-{name}-{number}"
            logs.mkdir()
            settings = {
                "FOOTFALL_SHARD": str(Shard(number, SHARDS)),
                "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
            }
            if "Cassandra" in request.param:
                cql: CqlCluster = request.getfixturevalue("cql")
                settings |= scylla_settings(in_keyspace(cql, f"shard_{number}_{name}"))
            stacks.append(Stack(database_url, temporal.address, logs, settings))
            await migrate_stores(Settings.model_validate(settings), database_url)
            stacks[-1].start()
        yield Divided(stacks, another)
        for stack in stacks:
            stack.stop()
    another.stop()


async def test_a_shard_that_loses_its_postgres_keeps_no_other_from_accepting(divided: Divided) -> None:
    """And when it is back everything is counted once, in the shard that it belongs to."""
    prefix = f"div-{uuid4().hex[:8]}-"
    load = Routed([stack.url for stack in divided.stacks], prefix, seed=2)
    loading = asyncio.create_task(load.run(LOAD_S))
    await asyncio.sleep(2)
    assert load.shards_of(load.sent.acknowledged) == {0, 1}
    divided.kill_postgres()
    await asyncio.sleep(0.5)  # answers to what was committed before
    before = set(load.sent.acknowledged)
    await asyncio.sleep(AWAY_S)
    assert load.shards_of(load.sent.acknowledged - before) == {0}
    assert len(load.sent.acknowledged - before) > 200
    divided.postgres.start()
    await loading
    assert set(load.sent.answers) == {"202", "503"}

    await _judge(divided, load, prefix, all_of_it=False)
    again = await load.send_all_again()  # as clients do with what was answered 503
    assert again["duplicates"] >= len(load.sent.acknowledged)
    assert 0 < again["accepted"] < len(load.sent.bodies)
    await _judge(divided, load, prefix, all_of_it=True)
    assert (await load.send_all_again())["accepted"] == 0
    await _sums_are_the_shops(divided, load)
    for stack in divided.stacks:
        await footfall_says(stack, "verify")  # ends with 0: this shard's popularity is what this shard's blocks say


async def _judge(divided: Divided, load: Routed, prefix: str, *, all_of_it: bool) -> None:
    for number, stack in enumerate(divided.stacks):
        await drained(stack.database_url)
        sent = load.sent_to(number)
        must_have = set(sent.bodies) if all_of_it else sent.acknowledged
        verdict = await judge(divided.settings(number), prefix, sent, must_have)
        assert verdict.faults == []


async def _sums_are_the_shops(divided: Divided, load: Routed) -> None:
    """What a shop reads of a product is the sum of what the shards answer."""
    weights = load_event_weights()
    expected: Counter[str] = Counter()
    for one in load.sent.bodies.values():
        if one["ref_type"] == "Product" and one["event_type"] in weights:
            expected[one["ref_id"]] += weights[one["event_type"]].score_delta
    found: Counter[str] = Counter()
    async with httpx.AsyncClient(timeout=30) as http:
        for stack in divided.stacks:
            for product in expected:
                answer = await http.get(f"{stack.url}/popularity/{product}")
                assert answer.status_code in {200, 404}
                if answer.status_code == 200:
                    found[product] += round(answer.json()["score"] * UNITS_PER_POINT)
    assert found == expected


async def test_what_comes_to_the_wrong_shard_is_refused(divided: Divided) -> None:
    """There its id would be unknown, and it would count again."""
    account = f"astray-{uuid4()}"
    home, other = shard_of(account, SHARDS), 1 - shard_of(account, SHARDS)
    at_home = next(name for name in (f"{account}{n}" for n in range(99)) if shard_of(name, SHARDS) == other)
    mixed = {"interactions": [body(account_id=at_home, event_id=str(uuid4())), body(account_id=account)]}
    async with httpx.AsyncClient(timeout=30) as http:
        for sent in (body(account_id=account), mixed):
            for query in ("", "?partial=true"):
                refused = await http.post(f"{divided.stacks[other].url}/interaction{query}", json=sent)
                assert refused.status_code == 421
                assert f"shard {home}/{SHARDS}" in refused.json()["detail"]
        accepted = await http.post(f"{divided.stacks[home].url}/interaction", json=body(account_id=account))
        assert accepted.status_code == 202
        known = await http.post(f"{divided.stacks[other].url}/interaction", json=mixed["interactions"][0])
        assert known.json()["accepted"] == 1  # nothing of the refused request was recorded
        assert (await http.get(f"{divided.stacks[other].url}/interactions/{account}")).status_code == 421
        assert (await http.get(f"{divided.stacks[home].url}/interactions/{account}")).status_code == 200


async def test_items_are_every_shards_and_users_and_feedback_their_own_shards(divided: Divided) -> None:
    account, item = f"astray-{uuid4()}", str(uuid4())
    home, other = shard_of(account, SHARDS), 1 - shard_of(account, SHARDS)
    told = {"account_id": account, "item_id": item, "kind": "like"}
    async with httpx.AsyncClient(timeout=30) as http:
        for number, status in ((other, 421), (home, 200)):
            url = divided.stacks[number].url
            assert (await http.put(f"{url}/users", json={"account_id": account})).status_code == status
            assert (await http.get(f"{url}/users/{account}")).status_code == status
            assert (await http.post(f"{url}/feedback", json=told)).status_code == (202 if status == 200 else 421)
            assert (await http.put(f"{url}/items", json={"item_id": item, "title": "x"})).status_code == 200
            assert (await http.get(f"{url}/items/{item}")).status_code == 200
        refused = await http.delete(f"{divided.stacks[other].url}/users/{account}")
        assert (refused.status_code, f"shard {home}/{SHARDS}" in refused.json()["detail"]) == (421, True)
