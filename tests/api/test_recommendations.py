"""Answers in experiments, of a Footfall without a recommender: fallbacks, which count for their arm all the same."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from domain.experiment import Arm, Plan
from tests.conftest import eventually
from tests.experimenting import accounts_of, experiment_store
from tests.stack import Stack


@pytest.fixture
async def name(stack: Stack, http: httpx.AsyncClient) -> AsyncIterator[str]:
    """Of an experiment that is running, and that the API knows of."""
    name = f"try-{uuid4().hex[:12]}"
    async with experiment_store(stack) as store:
        await store.create(Plan(name, [Arm("control", 50), Arm("new", 50, rules={"diversity": 0.5})]))
        assert name not in await _arms(http, "anybody")
        await store.start(name, 100)
        await _until_known(http, name)
        yield name
        await store.stop(name)


async def _until_known(http: httpx.AsyncClient, name: str) -> None:
    """By answers that are not counted: somebody who is in the other arm is enough."""
    forced = {"X-Experiment": f"{name}:control"}

    async def known() -> None:
        answer = await http.get(f"/recommendations/{next(accounts_of('new', experiment=name))}", headers=forced)
        assert answer.status_code == 200

    await eventually(known)


async def _arms(http: httpx.AsyncClient, account_id: str, header: str | None = None) -> dict[str, str]:
    """As the answer's header has them."""
    headers = {} if header is None else {"X-Experiment": header}
    answer = await http.get(f"/recommendations/{account_id}", headers=headers)
    assert answer.status_code == 200
    named = answer.headers.get("X-Experiment", "")
    return dict(one.split(":") for one in named.split(", ") if one)


async def _counted(http: httpx.AsyncClient, name: str) -> dict[str, tuple[int, int, int]]:
    found = (await http.get(f"/experiments/{name}")).json()
    return {arm["name"]: (arm["accounts"], arm["answers"], arm["fallbacks"]) for arm in found["arms"]}


async def test_an_answer_names_its_arm_and_counts_for_it_whatever_it_stands_on(
    http: httpx.AsyncClient, name: str
) -> None:
    in_control, in_new = (next(accounts_of(arm, experiment=name)) for arm in ("control", "new"))
    answer = await http.get(f"/recommendations/{in_new}")
    assert answer.json()["rung"] in {"popular", "memory"}
    assert (await _arms(http, in_new))[name] == "new"
    assert (await _arms(http, in_control))[name] == "control"

    async def counted() -> None:
        assert await _counted(http, name) == {"control": (1, 1, 1), "new": (1, 2, 2)}

    await eventually(counted)
    kept = (await http.get(f"/interactions/{in_new}")).json()["items"]
    first = next(one for one in kept if one["metadata"]["recommendation_id"] == answer.json()["recommendation_id"])
    assert (first["event_type"], first["ref_type"], first["ref_id"]) == (
        "recommendation_exposure", "Category", "homepage",
    )  # fmt: skip
    assert first["metadata"]["experiments"][name] == "new"


async def test_an_arm_that_is_asked_for_answers_and_does_not_count(http: httpx.AsyncClient, name: str) -> None:
    in_control = next(accounts_of("control", experiment=name))
    assert (await _arms(http, in_control, f"{name}:new"))[name] == "new"
    assert (await _arms(http, in_control, f"{name}:control"))[name] == "control"

    async def counted() -> None:
        assert (await _counted(http, name))["control"] == (1, 1, 1)

    await eventually(counted)
    assert (await _counted(http, name))["new"] == (0, 0, 0)


async def test_an_arm_that_there_is_not_is_a_fault_of_the_request(http: httpx.AsyncClient, name: str) -> None:
    for header, why in (
        (f"{name}:newest", f"the experiment '{name}' has no arm 'newest'"),
        ("unheard-of:new", "no experiment unheard-of is running"),
        ("new", "not of the form fresher:new, wider:control"),
        ("x" * 1_025, "at most 1024 characters"),
    ):
        answer = await http.get("/recommendations/alice", headers={"X-Experiment": header})
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        (fault,) = answer.json()["errors"]
        assert (fault["pointer"], fault["in"]) == ("#/X-Experiment", "header")
        assert why in fault["reason"]


@pytest.mark.parametrize(
    "path",
    [
        "/recommendations/a%00b",
        "/recommendations/alice?context=similar&item_id=%00",
        "/recommendations/alice?exclude=p&exclude=%00",
        "/recommendations/alice?category=%00",
        "/popularity/top?exclude=p&exclude=%00",
        "/popularity/top?category=%00",
        "/popularity/top?account_id=%00&exclude_seen=true",
    ],
)
async def test_ids_that_can_not_be_are_refused(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_without_an_experiment_nothing_is_sent_and_nothing_recorded(http: httpx.AsyncClient) -> None:
    account_id = f"quiet-{uuid4().hex}"

    async def nothing_runs() -> None:
        assert "X-Experiment" not in (await http.get("/recommendations/somebody")).headers

    await eventually(nothing_runs)
    assert "X-Experiment" not in (await http.get(f"/recommendations/{account_id}")).headers
    done = await http.post("/interaction", json={"interactions": [
        {"account_id": account_id, "event_type": "view", "ref_type": "Product", "ref_id": "p"}
    ]})  # fmt: skip
    await http.get(f"/batches/{done.json()['batch_id']}", params={"wait": "30s"})
    kept = (await http.get(f"/interactions/{account_id}")).json()["items"]
    assert [one["event_type"] for one in kept] == ["view"]
