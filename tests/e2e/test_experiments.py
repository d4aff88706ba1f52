"""An experiment as a shop runs it: a model on a part of the accounts, until what it is worth is known."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.ids import id_text, new_id_bytes
from store.models import ModelRegistry
from store.postgres import create_pool
from tests.conftest import eventually
from tests.e2e.shop import Shop
from tests.experimenting import accounts_of, experiment_store
from tests.stack import footfall_says

pytestmark = pytest.mark.timeout(600)  # a model is trained first

NAME = "newer-model"
OTHER = "20260101-000000"
AN_ARM = 150
LIMIT = 10

Json = dict[str, Any]


@pytest.fixture
async def other_model(shop: Shop, tmp_path: Path) -> AsyncIterator[str]:
    """A second model in the registry, which does not answer: a copy of the current one under another version."""
    async with create_pool(shop.stack.database_url, name="test", size=1, timeout_s=30) as pool:
        registry = ModelRegistry(pool)
        current = await registry.current()
        assert current is not None
        shutil.copytree(current.location, tmp_path / OTHER)
        await registry.register(OTHER, str(tmp_path / OTHER), "abc", {"ndcg_at_10": 0.5})
    yield OTHER
    async with experiment_store(shop.stack) as store:
        for one in await store.running():
            await store.stop(one.name)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    arms = [
        {"name": "control", "weight": 50},
        {"name": "new", "weight": 50, "model": OTHER, "rules": {"exploration": 0, "share_of_category": 0.01}},
    ]
    (tmp_path / "plan.json").write_text(json.dumps({"name": NAME, "arms": arms, "metric": "ctr", "currency": "EUR"}))
    return tmp_path / "plan.json"


class Visits:
    """Asks for answers, and keeps what came: what the figures have to be."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.answers: Counter[str] = Counter()
        self.fallbacks: Counter[str] = Counter()
        self.accounts: dict[str, set[str]] = {"control": set(), "new": set()}

    async def ask(self, account_id: str) -> tuple[str | None, Json]:
        """The arm that the answer names, and the answer."""
        got = await self.shop.http.get(f"/recommendations/{account_id}", params={"limit": LIMIT})
        answer = got.json()
        arm = _arm(got)
        if arm is not None:
            by_it = answer["rung"] == "ranked" and (arm == "control" or answer["model_version"] == OTHER)
            self.answers[arm] += 1
            self.fallbacks[arm] += not by_it
            self.accounts[arm].add(account_id)
        return arm, answer

    def figures(self) -> dict[str, tuple[int, int, int]]:
        return {arm: (len(who), self.answers[arm], self.fallbacks[arm]) for arm, who in self.accounts.items()}


def _arm(answer: httpx.Response) -> str | None:
    header = answer.headers.get("X-Experiment")
    return None if header is None else header.removeprefix(f"{NAME}:")


def _shoppers(arm: str, **more: Any) -> Iterator[str]:
    return accounts_of(arm, experiment=NAME, prefix="shopper-", **more)


def _event(account_id: str, answer: Json, event_type: str, **metadata: Any) -> Json:
    return {
        "event_id": id_text(new_id_bytes()),
        "account_id": account_id,
        "event_type": event_type,
        "ref_type": "Product",
        "ref_id": answer["items"][0]["item_id"],
        "metadata": {"recommendation_id": answer["recommendation_id"], **metadata},
    }


def _outcomes(answers: Sequence[tuple[str, Json]], clicks: int, orders: int) -> list[Json]:
    """So many of the accounts click what they were shown, so many buy it; these buy something on their own too."""
    clicked = [_event(*one, "view") for one in answers[:clicks]]
    bought = [_event(*one, "purchase", price="12.50", quantity=2, currency="EUR") for one in answers[:orders]]
    alone = [_event(*one, "purchase", price="5", currency="EUR") for one in answers[:orders]]
    for one in alone:
        del one["metadata"]["recommendation_id"]
    return [*clicked, *bought, *alone]


async def _figures(shop: Shop) -> dict[str, Json]:
    found = (await shop.http.get(f"/experiments/{NAME}")).json()
    return {"": found, **{arm["name"]: arm for arm in found["arms"]}}


async def test_an_experiment_from_its_plan_to_its_end(shop: Shop, other_model: str, plan: Path) -> None:
    visits = Visits(shop)
    taking_part, outside = next(_shoppers("new", rollout=5)), _outside()
    assert "is a draft" in await footfall_says(shop.stack, "experiments", "create", str(plan))
    assert (await visits.ask(taking_part))[0] is None
    assert "on 5 %" in await footfall_says(shop.stack, "experiments", "start", NAME)

    async def answered_by_its_arm() -> None:
        arm, answer = await visits.ask(taking_part)
        assert (arm, answer["model_version"]) == ("new", other_model)

    await eventually(answered_by_its_arm)
    arm, answer = await visits.ask(outside)
    assert (arm, answer["model_version"] == other_model) == (None, False)

    assert "on 100 %" in await footfall_says(shop.stack, "experiments", "rollout", NAME, "100")

    async def takes_part() -> None:
        assert (await visits.ask(outside))[0] == "new"

    await eventually(takes_part)
    await _check_forced(shop, visits)
    answers: dict[str, list[tuple[str, Json]]] = {"control": [], "new": []}
    for name, found in answers.items():
        for account_id in islice(_shoppers(name), AN_ARM):
            arm, answer = await visits.ask(account_id)
            assert arm == name
            found.append((account_id, answer))
    events = _outcomes(answers["control"], 25, 20) + _outcomes(answers["new"], 100, 30)
    await _record_with_faults(shop, events)
    await _check_figures(shop, visits)
    shown = await footfall_says(shop.stack, "experiments", "show", NAME)
    assert "new: better; ctr +" in shown
    assert json.loads(await footfall_says(shop.stack, "experiments", "show", NAME, "--json"))["name"] == NAME

    await footfall_says(shop.stack, "experiments", "stop", NAME)

    async def over() -> None:
        got = await shop.http.get(f"/recommendations/{taking_part}")
        assert _arm(got) is None
        assert got.json()["model_version"] not in {None, other_model}

    await eventually(over)
    assert NAME in await footfall_says(shop.stack, "experiments", "list")


async def _check_forced(shop: Shop, visits: Visits) -> None:
    """An account with a taste is shown much of one category, but by the arm's rules one thing of each."""
    account_id = next(accounts_of("control", experiment=NAME, prefix="account-"))
    arm, usual = await visits.ask(account_id)
    assert (arm, usual["model_version"] == OTHER) == ("control", False)
    assert len(set(shop.categories(usual))) < LIMIT
    got = await shop.http.get(
        f"/recommendations/{account_id}", params={"limit": LIMIT}, headers={"X-Experiment": f"{NAME}:new"}
    )
    assert (_arm(got), got.json()["model_version"]) == ("new", OTHER)
    assert len(set(shop.categories(got.json()))) == LIMIT


def _outside() -> str:
    """Of the arm `new`, and only once all take part."""
    inside = set(islice(_shoppers("new", rollout=50), 5_000))
    return next(one for one in _shoppers("new") if one not in inside)


async def _record_with_faults(shop: Shop, events: Sequence[Json]) -> None:
    """Everything is sent twice, at once and again, while the worker is killed and started."""
    body = {"interactions": list(events)}
    first, second = await asyncio.gather(*(shop.http.post("/interaction", json=body) for _ in range(2)))
    shop.stack.kill("worker")
    assert first.json()["accepted"] + second.json()["accepted"] == len(events)
    shop.stack.start_unready("worker")
    again = (await shop.http.post("/interaction", json=body)).json()
    assert (again["accepted"], again["duplicates"]) == (0, len(events))


async def _check_figures(shop: Shop, visits: Visits) -> None:
    async def counted() -> None:
        found = await _figures(shop)
        arms = {name: found[name] for name in ("control", "new")}
        counts = {name: (one["accounts"], one["answers"], one["fallbacks"]) for name, one in arms.items()}
        assert counts == visits.figures()
        assert {name: (one["clicks"], one["converted"], one["purchases"]) for name, one in arms.items()} == {
            "control": (25, 20, 40), "new": (100, 30, 60),
        }  # fmt: skip

    await eventually(counted, within_s=120)
    found = await _figures(shop)
    control, new = found["control"], found["new"]
    assert (control["revenue"], control["attributed_purchases"], control["attributed_revenue"]) == (600, 20, 500)
    assert (new["revenue"], new["attributed_purchases"], new["attributed_revenue"]) == (900, 30, 750)
    assert new["misassigned"] == control["misassigned"] == 0
    assert found[""]["shares"]["mismatch"] is False
    for arm in (control, new):
        assert arm["ctr"]["low"] < arm["ctr"]["value"] == arm["clicks"] / arm["answers"] < arm["ctr"]["high"]
        assert arm["conversion"]["value"] == arm["converted"] / arm["accounts"]
        assert arm["revenue_per_account"]["value"] == pytest.approx(arm["revenue"] / arm["accounts"])
    against = new["against_control"]
    assert against["verdict"] == "better"
    assert 0 < against["ctr"]["low"] < against["ctr"]["difference"] < against["ctr"]["high"]
    assert against["ctr"]["p_value"] < 0.05 < against["conversion"]["p_value"] <= 1
    assert sum(day["answers"] for day in found[""]["days"]) == control["answers"] + new["answers"]
