"""As an operator: something breaks, is found, mended and replayed, by the command line and by Temporal's own ways."""

import json
import subprocess
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from tests.conftest import Temporal, eventually, new_namespace
from tests.e2e.conftest import Broken, Database
from tests.factories import body
from tests.stack import Stack, footfall, footfall_says

Json = dict[str, Any]


async def _send(http: httpx.AsyncClient, *bodies: Json) -> Json:
    accepted = await http.post("/interaction", json={"interactions": list(bodies)})
    assert accepted.status_code == 202
    answer: Json = accepted.json()
    return answer


async def _parked(http: httpx.AsyncClient, batch_id: str) -> Json:
    async def parked() -> Json:
        receipt: Json = (await http.get(f"/batches/{batch_id}")).json()
        assert receipt["state"] == "parked"
        assert receipt["fan_outs"]["persist"]["state"] == "done"
        return receipt

    return await eventually(parked)


async def _done(http: httpx.AsyncClient, batch_id: str) -> Json:
    receipt: Json = (await http.get(f"/batches/{batch_id}", params={"wait": "30s"})).json()
    assert receipt["state"] == "done"
    return receipt


async def _views(http: httpx.AsyncClient, product: str) -> int:
    answer = await http.get(f"/popularity/{product}")
    return int(answer.json()["view_count"]) if answer.status_code == httpx.codes.OK else 0


async def test_with_the_temporal_ui_alone(http: httpx.AsyncClient, temporal_client: Client, broken: Broken) -> None:
    """What its pages do: a query over the search attributes, the details, and an update with JSON as text."""
    product = str(uuid4())
    async with broken():
        accepted = await _send(http, *(body(ref_id=product) for _ in range(3)))
        await _parked(http, accepted["batch_id"])

        async def found() -> list[str]:
            query = 'FanOutsParked = "popularity" AND ExecutionStatus = "Running"'
            ids = [one.id async for one in temporal_client.list_workflows(query)]
            assert accepted["batch_id"] in ids
            return ids

        await eventually(found)
        handle = temporal_client.get_workflow_handle(accepted["batch_id"])
        details = str(await handle.query("__temporal_workflow_metadata", result_type=object))
        assert "does not exist (SQLSTATE 42P01)" in details
    assert await handle.execute_update("replay", []) == ["popularity"]
    await _done(http, accepted["batch_id"])
    assert await _views(http, product) == 3


async def test_an_accounts_batches_are_found_in_temporal(http: httpx.AsyncClient, temporal_client: Client) -> None:
    """As docs/runbook.md says: `printf %s ACCOUNT | sha256sum | cut -c1-12`."""
    account = str(uuid4())
    accepted = await _send(http, body(account_id=account), body(account_id="somebody else"))
    await _done(http, accepted["batch_id"])
    hashed = subprocess.run(["sha256sum"], input=account.encode(), capture_output=True, check=True).stdout[:12]

    async def found() -> None:
        query = f"FootfallAccountKeys IN ('{hashed.decode()}', 'many')"
        assert accepted["batch_id"] in [one.id async for one in temporal_client.list_workflows(query)]

    await eventually(found)


async def test_parked_batches_are_listed_and_replayed_as_few(
    stack: Stack, http: httpx.AsyncClient, temporal_client: Client, broken: Broken
) -> None:
    product, account = str(uuid4()), str(uuid4())
    async with broken():
        accepted = [await _send(http, body(ref_id=product, account_id=account)) for _ in range(5)]
        batches = {one["batch_id"] for one in accepted}
        for batch_id in batches:
            await _parked(http, batch_id)
        listed = json.loads(await footfall_says(stack, "fan-outs", "list", "--account", account, "--json"))
        assert {one["batch_id"] for one in listed} == batches
        assert sum(one["events"] for one in listed) == 5
        assert {one["fan_out"] for one in listed} == {"popularity"}
        assert json.loads(await footfall_says(stack, "fan-outs", "list", "--fan-out", "persist", "--json")) == []
        assert json.loads(await footfall_says(stack, "fan-outs", "list", "--until", "1h", "--json")) == []
        shown = await footfall_says(stack, "fan-outs", "show", min(batches))
        assert "persist: done" in shown
        assert "does not exist" in shown
        assert "running" in shown
        again = json.loads(
            await footfall_says(stack, "fan-outs", "replay", "--account", account, "--json", code=1)
        )  # nothing is mended yet
        assert (again["batches"], again["interactions"], len(again["carried_by"])) == (len(batches), 5, 1)
        (parked,) = again["parked_again"]
        assert (parked["batch_id"], parked["events"]) == (again["carried_by"][0], 5)
        assert await _views(http, product) == 0
    text = await footfall_says(stack, "fan-outs", "replay", "--since", "1h", "--reason", "DOES NOT EXIST")
    assert "nothing is parked again" in text
    assert await _views(http, product) == 5
    for batch_id in batches:
        assert (await _done(http, batch_id))["carried_by"] not in batches
        described = await temporal_client.get_workflow_handle(batch_id).describe()
        assert described.status == WorkflowExecutionStatus.TERMINATED
    items = (await http.get(f"/interactions/{account}")).json()["items"]
    assert len(items) == 5


async def test_everything_is_replayed_only_when_asked_for(stack: Stack) -> None:
    done = await footfall(stack, "fan-outs", "replay")
    assert done.code == 2
    assert "--all" in done.err


async def test_parked_batches_are_given_up_with_a_reason(
    stack: Stack, http: httpx.AsyncClient, database: Database, broken: Broken
) -> None:
    product, account = str(uuid4()), str(uuid4())
    async with broken():
        accepted = await _send(http, body(ref_id=product, account_id=account))
        await _parked(http, accepted["batch_id"])
    text = await footfall_says(stack, "fan-outs", "discard", "--account", account, "--because", "a load test")
    assert "discarded in 1 batches" in text
    receipt = await _done(http, accepted["batch_id"])
    assert receipt["fan_outs"]["popularity"] == {"state": "discarded", "reason": "a load test"}
    assert await _views(http, product) == 0
    event = accepted["event_ids"][0]
    assert await database.fetchval("SELECT reason FROM discarded_event WHERE event_id = $1", event) == "a load test"


async def test_poison_is_set_aside_and_tried_again_or_given_up(
    stack: Stack, http: httpx.AsyncClient, database: Database
) -> None:
    product, mark = str(uuid4()), f"poison-{uuid4()}"
    await database.execute(f"ALTER TABLE product_popularity ADD CONSTRAINT no_poison CHECK (product_id !~ '^{mark}')")
    bodies = [body(ref_id=product), body(ref_id=f"{mark}-1"), body(ref_id=product), body(ref_id=f"{mark}-2")]
    accepted = await _send(http, *bodies)
    _, first, _, second = accepted["event_ids"]
    receipt = await _done(http, accepted["batch_id"])
    assert receipt["fan_outs"]["popularity"] == {"state": "done", "quarantined": 2}
    assert await _views(http, product) == 2
    of_event = (await http.get(f"/interaction/{first}", params={"wait": "5s"})).json()
    assert of_event["state"] == "quarantined"
    assert "no_poison" in of_event["fan_outs"]["popularity"]["reason"]
    assert of_event["fan_outs"]["persist"] == {"state": "done"}
    listed = json.loads(await footfall_says(stack, "quarantine", "list", "--reason", "no_poison", "--json"))
    assert {one["event_id"] for one in listed} == {first, second}
    assert listed[0]["interaction"]["ref_id"].startswith(mark)
    assert mark in await footfall_says(stack, "quarantine", "list")
    await footfall_says(stack, "quarantine", "show", str(uuid4()), code=1)

    assert "1 given up" in await footfall_says(stack, "quarantine", "drop", second, "--because", "no such product")
    given_up = (await http.get(f"/interaction/{second}")).json()
    assert given_up["fan_outs"]["popularity"] == {"state": "discarded", "reason": "no such product"}
    assert given_up["state"] == "done"

    await database.execute("ALTER TABLE product_popularity DROP CONSTRAINT no_poison")
    assert "1 tried again: 0 are in quarantine" in await footfall_says(
        stack, "quarantine", "retry", "--reason", "no_poison"
    )
    assert (await _views(http, f"{mark}-1"), await _views(http, f"{mark}-2")) == (1, 0)
    mended = (await http.get(f"/interaction/{first}")).json()
    assert (mended["state"], mended["fan_outs"]["popularity"]) == ("done", {"state": "done"})
    assert mended["accepted_at"][:19] == of_event["accepted_at"][:19]
    assert (await http.post("/interaction", json={**bodies[1], "event_id": first})).json()["duplicates"] == 1
    history = (await http.get("/interactions/alice", params={"limit": 500})).json()["items"]
    assert [one["event_id"] for one in history].count(first) == 1


async def test_migrate_makes_the_search_attributes_known(stack: Stack, temporal: Temporal) -> None:
    namespace = await new_namespace(temporal.address)
    other = replace(stack, settings={**stack.settings, "TEMPORAL_NAMESPACE": namespace})
    assert "applied search attribute FanOutsParked" in await footfall_says(other, "migrate")
    assert "nothing to apply" in await footfall_says(other, "migrate")
    client = await Client.connect(temporal.address, namespace=namespace)

    async def known() -> None:
        try:
            assert await client.count_workflows('FootfallAccountKeys = "many"') is not None
        except RPCError as error:
            raise AssertionError from error

    await eventually(known)
