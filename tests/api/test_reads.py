"""The reads: histories, popularity, receipts, health, metrics, and errors that are problems everywhere."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.factories import body


async def _record(http: httpx.AsyncClient, *events: dict[str, Any]) -> dict[str, Any]:
    """Records and waits until all is in every read model."""
    accepted: dict[str, Any] = (await http.post("/interaction", json={"interactions": list(events)})).json()
    receipt = (await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})).json()
    assert receipt["state"] == "done", receipt
    return accepted


def _ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


async def test_a_history_has_what_was_sent(http: httpx.AsyncClient) -> None:
    account = f"a/{uuid4()} ü?\n\\\n"
    metadata = {"price": "12.50", "currency": "EUR", "quantity": 2, "big": 10**30, "nested": {"a": [1.5, None, "x"]}}
    sent = body(
        account_id=account,
        account_number=42,
        session_id="s1",
        metadata=metadata,
        occurred_at="2026-11-20T10:00:00.5+02:00",
    )
    sent["occurred_at"] = _ago(days=1)
    accepted = await _record(http, sent)
    (item,) = (await http.get(f"/interactions/{quote(account, safe='')}")).json()["items"]
    assert item.pop("user_agent").startswith("python-httpx/")
    assert item.pop("ip_address") == "127.0.0.1"
    assert datetime.fromisoformat(item.pop("occurred_at")) == datetime.fromisoformat(sent.pop("occurred_at"))
    assert item == {**sent, "event_id": accepted["event_ids"][0]}


async def test_absent_fields_are_left_out_and_the_client_can_not_name_its_address(http: httpx.AsyncClient) -> None:
    account = str(uuid4())
    headers = {"X-Forwarded-For": "203.0.113.9"}
    accepted = (await http.post("/interaction", json=body(account_id=account), headers=headers)).json()
    await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})
    (item,) = (await http.get(f"/interactions/{account}")).json()["items"]
    assert item.keys() == {
        "event_id", "account_id", "event_type", "ref_type", "ref_id", "occurred_at", "user_agent", "ip_address",
    }  # fmt: skip
    assert item["ip_address"] == "127.0.0.1"


async def test_pages_of_a_history_meet(http: httpx.AsyncClient) -> None:
    account = str(uuid4())
    await _record(http, *(body(account_id=account, ref_id=f"p{n}", occurred_at=_ago(days=n * 3)) for n in range(25)))
    whole = (await http.get(f"/interactions/{account}")).json()
    assert [item["ref_id"] for item in whole["items"]] == [f"p{n}" for n in range(25)]
    assert (whole["next_cursor"], whole["truncated"]) == (None, False)
    found: list[str] = []
    cursor = None
    while True:
        page = (
            await http.get(f"/interactions/{account}", params={"limit": 4, **({"cursor": cursor} if cursor else {})})
        ).json()
        found += [item["ref_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [f"p{n}" for n in range(25)]


async def test_ranges_and_types(http: httpx.AsyncClient) -> None:
    account = str(uuid4())
    await _record(
        http,
        body(account_id=account, occurred_at=_ago(days=10), event_type="purchase"),
        body(account_id=account, occurred_at=_ago(days=5)),
        body(account_id=account, occurred_at=_ago(days=1), event_type="wave"),
    )
    url = f"/interactions/{account}"
    ranged = (await http.get(url, params={"from": _ago(days=7), "to": _ago(days=2)})).json()
    assert [item["event_type"] for item in ranged["items"]] == ["view"]
    typed = (await http.get(url, params={"event_type": ["wave", "purchase"]})).json()
    assert [item["event_type"] for item in typed["items"]] == ["wave", "purchase"]


async def test_the_cap_of_an_answer_is_said(http: httpx.AsyncClient) -> None:
    account = str(uuid4())
    for _ in range(3):
        await _record(http, *(body(account_id=account) for _ in range(700)))
    capped = (await http.get(f"/interactions/{account}", params={"limit": 2_000})).json()
    assert (len(capped["items"]), capped["truncated"]) == (2_000, True)
    rest = (
        await http.get(f"/interactions/{account}", params={"cursor": capped["next_cursor"], "limit": 2_000})
    ).json()
    assert (len(rest["items"]), rest["truncated"]) == (100, False)


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"from": _ago(weeks=25)}, "#/from"),
        ({"to": _ago(days=-1)}, "#/to"),
        ({"from": _ago(days=1), "to": _ago(days=2)}, "#/from"),
        ({"from": "yesterday"}, "#/from"),
        ({"from": "2026-11-20T10:00:00"}, "#/from"),
        ({"limit": 2_001}, "#/limit"),
        ({"limit": 0}, "#/limit"),
        ({"event_type": "Wave!"}, "#/event_type/0"),
        ({"cursor": "nonsense"}, "#/cursor"),
    ],
)
async def test_wrong_parameters_are_named(http: httpx.AsyncClient, params: dict[str, Any], place: str) -> None:
    answer = await http.get("/interactions/alice", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(error["in"], error["pointer"]) for error in answer.json()["errors"]] == [("query", place)]


async def test_nobody_has_an_empty_history(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"/interactions/{uuid4()}")
    assert answer.json() == {"items": [], "next_cursor": None, "truncated": False}


async def test_popularity_of_a_product(http: httpx.AsyncClient) -> None:
    product = f"p/{uuid4()}"
    types = ["view", "view", "purchase", "add_to_cart", "add_to_favorites", "write_review", "ask_question", "wave"]
    await _record(http, *(body(ref_id=product, event_type=one) for one in types))
    found = (await http.get(f"/popularity/{product}")).json()
    assert found.pop("date_updated").endswith("Z")
    assert found == {
        "product_id": product, "score": 3.25, "view_count": 2, "purchase_count": 1, "favorite_count": 1,
        "cart_count": 1, "review_count": 1,
    }  # fmt: skip
    missing = await http.get(f"/popularity/{uuid4()}")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("window", ["all", "1d", "7d", "30d"])
async def test_top_pages_by_score(http: httpx.AsyncClient, window: str) -> None:
    products = [f"{window}-{uuid4()}" for _ in range(5)]
    await _record(
        http, *(body(ref_id=one, event_type="purchase") for n, one in enumerate(products) for _ in range(30 + n))
    )
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = (
            await http.get(
                "/popularity/top", params={"window": window, "limit": 3, **({"cursor": cursor} if cursor else {})}
            )
        ).json()
        assert page["window"] == window
        assert page["as_of"].endswith("Z")
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    places = [(-item["score"], item["product_id"]) for item in found]
    assert places == sorted(set(places))
    mine = [item["product_id"] for item in found if item["product_id"] in products]
    assert mine == products[::-1]


async def test_a_window_leaves_out_what_occurred_before_it(http: httpx.AsyncClient) -> None:
    product = str(uuid4())
    events = [body(ref_id=product, event_type="purchase", occurred_at=_ago(days=days)) for days in (0, 3, 20, 60)]
    await _record(http, *events * 40)
    counts = {}
    for window in ("all", "1d", "7d", "30d"):
        top = (await http.get("/popularity/top", params={"window": window, "limit": 100})).json()["items"]
        counts[window] = next(item["purchase_count"] for item in top if item["product_id"] == product)
    assert counts == {"all": 160, "1d": 40, "7d": 80, "30d": 120}


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"window": "2d"}, {"cursor": "x"}])
async def test_wrong_top_parameters(http: httpx.AsyncClient, params: dict[str, Any]) -> None:
    assert (await http.get("/popularity/top", params=params)).status_code == 422


async def test_a_cursor_belongs_to_its_window(http: httpx.AsyncClient) -> None:
    await _record(http, *(body(ref_id=str(uuid4())) for _ in range(3)))
    cursor = (await http.get("/popularity/top", params={"limit": 1})).json()["next_cursor"]
    assert (await http.get("/popularity/top", params={"cursor": cursor, "window": "7d"})).status_code == 422


async def test_the_receipt_of_an_event_and_of_its_batch(http: httpx.AsyncClient) -> None:
    accepted = (await http.post("/interaction", json={"interactions": [body(), body()]})).json()
    event = (await http.get(f"/interaction/{accepted['event_ids'][1]}", params={"wait": "30s"})).json()
    done = {name: {"state": "done"} for name in ("persist", "popularity", "recommendations", "experiments")}
    assert (event["state"], event["fan_outs"]) == ("done", done)
    assert datetime.fromisoformat(event["accepted_at"]) > datetime.now(UTC) - timedelta(minutes=5)
    batch = (await http.get(f"/batches/{accepted['batch_id']}")).json()
    assert (batch["state"], batch["fan_outs"]) == ("done", done)
    assert batch["events"] >= 2
    assert batch["carried_by"] == batch["batch_id"] == accepted["batch_id"]


async def test_receipts_of_what_was_never_accepted(http: httpx.AsyncClient) -> None:
    for path in (f"/interaction/{uuid4()}", f"/batches/{uuid4()}"):
        assert (await http.get(path)).status_code == 404
    assert (await http.get("/interaction/not-an-id")).status_code == 422
    for wait in ("soon", "31s", "-1s"):
        assert (await http.get(f"/batches/{uuid4()}", params={"wait": wait})).status_code == 422


async def test_health(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/live")).json() == {"live": True}
    ready = (await http.get("/health/ready")).json()
    assert ready["ready"] is True
    assert ready["dependencies"].keys() == {"postgres", "block_store", "temporal"}
    assert all(one["ok"] and one["latency_ms"] >= 0 for one in ready["dependencies"].values())


async def test_metrics(http: httpx.AsyncClient) -> None:
    before = _metric((await http.get("/metrics")).text, "footfall_interactions_accepted_total")
    await _record(http, body(), body())
    after = (await http.get("/metrics")).text
    assert _metric(after, "footfall_interactions_accepted_total") == before + 2
    assert _metric(after, "footfall_backlog_events") >= 0


def _metric(text: str, name: str) -> float:
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


async def test_the_frameworks_own_errors_are_problems(http: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("PUT", "/popularity/top", 405),
        ("DELETE", "/interaction", 405),
        ("GET", "/interaction", 405),
    ):
        answer = await http.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["instance"] == path
        assert (status == 405) == ("allow" in answer.headers)


async def test_the_docs_page_and_its_document(http: httpx.AsyncClient) -> None:
    assert (await http.get("/docs")).status_code == 200
    document = (await http.get("/openapi.json")).json()
    assert {"/interaction", "/interactions/{account_id}", "/popularity/top", "/batches/{batch_id}"} <= set(
        document["paths"]
    )
    assert not any(path.startswith("/api/v1") for path in document["paths"])
