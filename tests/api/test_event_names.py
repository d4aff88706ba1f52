"""Names that shops send already, on the whole way: taken as event types where that is set, and else as they come."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from domain.event_types import load_event_weights
from tests.conftest import eventually
from tests.domain.test_event_names import GA4, SEGMENT
from tests.e2e.securing import running_api
from tests.factories import body
from tests.stack import Stack, footfall


@pytest.fixture(scope="module")
def named(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An API that knows the names of both tools, and one of the shop's, beside the one that knows none."""
    own = tmp_path_factory.mktemp("names") / "own.toml"
    own.write_text('"Produkt gesehen" = "view"\n', encoding="utf-8")
    with running_api(stack, FOOTFALL_EVENT_NAMES="ga4, segment", FOOTFALL_EVENT_NAMES_FILE=str(own)) as running:
        yield running


@pytest.fixture
async def ask(named: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=named.url, timeout=30) as http:
        yield http


async def _recorded_types(http: httpx.AsyncClient, account: str, count: int) -> list[str]:
    async def all_of_them() -> list[str]:
        items = (await http.get(f"/interactions/{account}")).json()["items"]
        assert len(items) == count
        return [one["event_type"] for one in items]

    return await eventually(all_of_them)


@pytest.mark.parametrize(("name", "event_type"), [*GA4.items(), *SEGMENT.items(), ("Produkt gesehen", "view")])
async def test_a_name_is_recorded_and_counted_as_its_type(ask: httpx.AsyncClient, name: str, event_type: str) -> None:
    account, product = str(uuid4()), str(uuid4())
    answer = await ask.post("/interaction", json=body(account_id=account, ref_id=product, event_type=name))
    assert answer.status_code == 202, answer.text
    assert await _recorded_types(ask, account, 1) == [event_type]
    weight = load_event_weights().get(event_type)
    if weight is not None:

        async def counted() -> None:
            popularity = (await ask.get(f"/popularity/{product}")).json()
            assert popularity.get("score") == weight.score_delta / 1_000_000
            assert weight.counter is None or popularity[f"{weight.counter}_count"] == 1

        await eventually(counted)


async def test_on_lines_as_in_lists_and_told_as_it_came_where_it_is_none(ask: httpx.AsyncClient) -> None:
    account = str(uuid4())
    sent = [body(account_id=account, event_type=name) for name in ("Product Viewed", "view_item", "anything_else")]
    content = "\n".join(map(json.dumps, sent))
    answer = await ask.post("/interaction", content=content, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 202, answer.text
    assert sorted(await _recorded_types(ask, account, 3)) == ["anything_else", "view", "view"]
    assert (await ask.post("/interaction", json={"interactions": sent})).status_code == 202
    for unknown in ("product viewed", "Product Viewed ", "PRODUCT VIEWED", "", ["view"], None):
        refused = await ask.post("/interaction", json=body(event_type=unknown))
        assert [one["pointer"] for one in refused.json()["errors"]] == ["#/event_type"]


async def test_where_it_is_not_set_names_are_as_they_come(http: httpx.AsyncClient) -> None:
    account = str(uuid4())
    assert (await http.post("/interaction", json=body(event_type="Product Viewed"))).status_code == 422
    await http.post("/interaction", json=body(account_id=account, event_type="view_item"))
    assert await _recorded_types(http, account, 1) == ["view_item"]


async def test_one_that_is_switched_off_is_as_it_comes(stack: Stack, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('view_item = false\n"Order Updated" = false\n')
    settings = {"FOOTFALL_EVENT_NAMES": "ga4,segment", "FOOTFALL_EVENT_NAMES_FILE": str(own)}
    account = str(uuid4())
    with running_api(stack, **settings) as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=30) as http:
            assert (await http.post("/interaction", json=body(event_type="Order Updated"))).status_code == 422
            for name in ("view_item", "refund"):
                await http.post("/interaction", json=body(account_id=account, event_type=name))
            assert sorted(await _recorded_types(http, account, 2)) == ["refund_requested", "view_item"]


async def test_what_is_wrong_ends_the_start_with_a_sentence(stack: Stack, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('"Product Seen" = "View"\n')
    wrong_file = replace(stack, settings={**stack.settings, "FOOTFALL_EVENT_NAMES_FILE": str(own)})
    for command in ("api", "up"):
        done = await footfall(wrong_file, command)
        assert done.code == 1
        assert "'Product Seen': 'View' can't be an event type" in done.err
        assert "Traceback" not in done.err
    done = await footfall(replace(stack, settings={**stack.settings, "FOOTFALL_EVENT_NAMES": "ga4,ga5"}), "api")
    assert done.code != 0
    assert "FOOTFALL_EVENT_NAMES" in done.err
    assert "Traceback" not in done.err
