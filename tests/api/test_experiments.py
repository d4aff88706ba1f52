"""Experiments from their plan to their figures: by the command line, the intake and GET /experiments."""

import json
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.experimenting import accounts_of, experiment_store
from tests.factories import body
from tests.stack import Stack, footfall, footfall_says

Json = dict[str, Any]


@pytest.fixture
async def plan(stack: Stack, tmp_path: Path) -> AsyncIterator[Json]:
    """A plan whose arms do not differ, so that it may run beside other tests' ones."""
    name = f"try-{uuid4().hex[:12]}"
    arms = [{"name": "control", "weight": 50}, {"name": "new", "weight": 50}]
    document = {"name": name, "arms": arms, "currency": "EUR"}
    (tmp_path / "plan.json").write_text(json.dumps(document))
    yield document
    async with experiment_store(stack) as store:
        if any(one.name == name for one in await store.running()):
            await store.stop(name)


async def _record(http: httpx.AsyncClient, *events: Json) -> None:
    accepted = (await http.post("/interaction", json={"interactions": list(events)})).json()
    receipt = (await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})).json()
    assert receipt["state"] == "done", receipt


def _answered(account_id: str, experiment: str, arm: str) -> Json:
    return body(
        account_id=account_id,
        event_type="recommendation_exposure",
        ref_type="Category",
        ref_id="homepage",
        metadata={"recommendation_id": "r1", "experiments": {experiment: arm}},
    )


def _bought(account_id: str) -> Json:
    metadata = {"price": "12.50", "quantity": 2, "currency": "EUR", "recommendation_id": "r1"}
    return body(account_id=account_id, event_type="purchase", metadata=metadata)


def _clicked(account_id: str) -> Json:
    return body(account_id=account_id, metadata={"recommendation_id": "r1"})


async def test_from_a_plan_to_its_figures(stack: Stack, http: httpx.AsyncClient, plan: Json, tmp_path: Path) -> None:
    name = plan["name"]
    await footfall_says(stack, "experiments", "create", str(tmp_path / "plan.json"))
    assert (await http.get(f"/experiments/{name}")).json()["state"] == "draft"
    assert "on 100 %" in await footfall_says(stack, "experiments", "start", name, "100")
    control, new = (list(islice(accounts_of(arm, experiment=name), 200)) for arm in ("control", "new"))
    await _record(
        http, *(_answered(one, name, "control") for one in control), *(_answered(one, name, "new") for one in new)
    )
    await _record(http, *map(_bought, control[:20]), *map(_bought, new[:90]), *map(_clicked, new[:100]))
    found = (await http.get(f"/experiments/{name}")).json()
    assert (found["state"], found["rollout"], found["metric"], found["alpha"]) == ("running", 100, "conversion", 0.05)
    first, second = found["arms"]
    assert (first["name"], first["accounts"], first["converted"], first["revenue"]) == ("control", 200, 20, 500.0)
    assert first["against_control"] is None
    assert (second["answers"], second["clicks"], second["ctr"]["value"]) == (200, 100, 0.5)
    conversion = second["conversion"]
    assert conversion["low"] < conversion["value"] == 0.45 < conversion["high"]
    against = second["against_control"]
    assert against["verdict"] == "better"
    assert against["conversion"]["difference"] == pytest.approx(0.35)
    assert 0 < against["conversion"]["low"] < 0.35 < against["conversion"]["high"]
    assert against["conversion"]["p_value"] < 0.001
    assert against["revenue_per_account"]["difference"] == pytest.approx(25 * 70 / 200)
    assert found["shares"] == {"p_value": 1.0, "mismatch": False}
    assert [(one["arm"], one["accounts"], one["revenue"]) for one in found["days"]] == [
        ("control", 200, 500.0), ("new", 200, 2250.0),
    ]  # fmt: skip
    assert json.loads(await footfall_says(stack, "experiments", "show", name, "--json")) == found
    shown = await footfall_says(stack, "experiments", "show", name)
    assert "new: better; conversion +0.35" in shown
    rows = {cells[1].strip(): [one.strip() for one in cells[2:-1]] for cells in _cells(shown)}
    assert rows["accounts"] == ["200", "200"]
    assert rows["attributed revenue"] == ["500.00", "2,250.00"]
    assert [one.split(" ")[0] for one in rows["conversion"]] == ["10.00%", "45.00%"]
    assert "trust" not in shown


def _cells(table: str) -> list[list[str]]:
    return [line.split("│") for line in table.splitlines() if line.startswith("│")]


async def test_wrong_shares_are_said_loudly(
    stack: Stack, http: httpx.AsyncClient, plan: Json, tmp_path: Path
) -> None:
    name = plan["name"]
    await footfall_says(stack, "experiments", "create", str(tmp_path / "plan.json"))
    await footfall_says(stack, "experiments", "start", name, "100")
    await _record(http, *(_answered(one, name, "new") for one in islice(accounts_of("new", experiment=name), 60)))
    found = (await http.get(f"/experiments/{name}")).json()
    assert found["shares"]["mismatch"] is True
    assert found["arms"][1]["against_control"]["verdict"] == "mismatch"
    assert "trust none of this" in await footfall_says(stack, "experiments", "show", name)


async def test_start_rollout_and_stop(stack: Stack, http: httpx.AsyncClient, plan: Json, tmp_path: Path) -> None:
    name = plan["name"]
    await footfall_says(stack, "experiments", "create", str(tmp_path / "plan.json"))
    again = await footfall(stack, "experiments", "create", str(tmp_path / "plan.json"))
    assert (again.code, "already" in again.err) == (1, True)
    assert "on 5 %" in await footfall_says(stack, "experiments", "start", name)
    assert "on 50 %" in await footfall_says(stack, "experiments", "rollout", name, "50")
    refused = await footfall(stack, "experiments", "rollout", name, "20")
    assert (refused.code, "can only grow" in refused.err) == (1, True)
    listed = json.loads(await footfall_says(stack, "experiments", "list", "--json"))
    assert next(one for one in listed if one["name"] == name)["rollout"] == 50
    assert name in await footfall_says(stack, "experiments", "list")
    await footfall_says(stack, "experiments", "stop", name)
    assert (await http.get(f"/experiments/{name}")).json()["state"] == "stopped"
    missing = await footfall(stack, "experiments", "show", f"{name}-not")
    assert (missing.code, "there is no" in missing.err) == (1, True)


async def test_a_plan_that_breaks_a_rule_is_refused(stack: Stack, plan: Json, tmp_path: Path) -> None:
    plan["arms"][0]["weight"] = 60
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    refused = await footfall(stack, "experiments", "create", str(tmp_path / "plan.json"))
    assert (refused.code, "must add up to 100" in refused.err) == (1, True)
    nowhere = await footfall(stack, "experiments", "create", str(tmp_path / "nowhere.json"))
    assert (nowhere.code, "No such file" in nowhere.err) == (1, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"rules": {"fresness": 0.3}},
            "the rules of arm 'new': Object contains unknown field `fresness`; there are diversity, ",
        ),
        ({"rules": {"diversity": 1.5}}, "the rules of arm 'new': Expected `float` <= 1.0 - at `$.diversity`"),
        ({"rules": {"diversity": "much"}}, "at `$.arms[1].rules"),
        ({"model": "20000101-000000"}, "there is no model 20000101-000000: see `footfall models list`"),
    ],
)
async def test_an_arm_that_no_answer_can_be_made_by_is_refused(
    stack: Stack, http: httpx.AsyncClient, plan: Json, tmp_path: Path, change: Json, why: str
) -> None:
    plan["arms"][1] |= change
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    refused = await footfall(stack, "experiments", "create", str(tmp_path / "plan.json"))
    assert refused.code == 1
    assert why in refused.err
    assert (await http.get(f"/experiments/{plan['name']}")).status_code == 404


async def test_pages_of_experiments(stack: Stack, http: httpx.AsyncClient, plan: Json, tmp_path: Path) -> None:
    names = [f"{plan['name']}-{number}" for number in range(3)]
    for name in names:
        (tmp_path / "plan.json").write_text(json.dumps({**plan, "name": name}))
        await footfall_says(stack, "experiments", "create", str(tmp_path / "plan.json"))
    found: list[str] = []
    cursor = None
    while True:
        params: dict[str, str | int] = {"limit": 2, "state": "draft", **({"cursor": cursor} if cursor else {})}
        page = (await http.get("/experiments", params=params)).json()
        assert all(one["state"] == "draft" for one in page["items"])
        found += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [name for name in found if name in names] == names[::-1]
    assert len(found) == len(set(found))


async def test_what_is_asked_wrongly(http: httpx.AsyncClient) -> None:
    assert (await http.get("/experiments/nothing-of-the-kind")).status_code == 404
    for path in (
        "/experiments/No%20name",
        "/experiments?limit=0",
        "/experiments?cursor=x",
        "/experiments?state=gone",
    ):
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), path
