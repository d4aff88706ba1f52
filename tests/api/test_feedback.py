"""POST /feedback: what accounts think of items goes the way of every interaction."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.factories import body

JSON = {"content-type": "application/json"}


def feedback(**fields: Any) -> dict[str, Any]:
    """Feedback as an app sends it."""
    return {"account_id": "alice", "item_id": "cup", "kind": "like", **fields}


def _ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


def _problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


async def _post(http: httpx.AsyncClient, sent: object, **options: Any) -> httpx.Response:
    return await http.post("/feedback", json=sent, **options)


async def _recorded(http: httpx.AsyncClient, accepted: dict[str, Any], account: str) -> list[dict[str, Any]]:
    """What the account's history has, once all of it is everywhere."""
    receipt = (await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})).json()
    assert receipt["state"] == "done", receipt
    items: list[dict[str, Any]] = (await http.get(f"/interactions/{account}")).json()["items"]
    return items


async def test_every_kind_is_an_event_type_that_interactions_have(http: httpx.AsyncClient) -> None:
    account = str(uuid4())
    kinds: list[dict[str, Any]] = [{"kind": one} for one in ("like", "dislike", "not_interested")]
    kinds += [{"kind": "rating", "rating": rating} for rating in (1, 2, 3, 4, 5)]
    sent = [
        feedback(account_id=account, item_id=f"i{n}", occurred_at=_ago(minutes=n), **kind)
        for n, kind in enumerate(kinds)
    ]
    answer = await _post(http, {"feedback": sent})
    assert answer.status_code == 202
    assert answer.json().keys() == {"accepted", "duplicates", "event_ids", "batch_id"}
    found = await _recorded(http, answer.json(), account)
    assert [(one["ref_type"], one["ref_id"], one["event_type"], one.get("metadata")) for one in found] == [
        ("Product", "i0", "like", None),
        ("Product", "i1", "dislike", None),
        ("Product", "i2", "not_interested", None),
        ("Product", "i3", "rating_low", {"rating": 1}),
        ("Product", "i4", "rating_low", {"rating": 2}),
        ("Product", "i5", "rating_medium", {"rating": 3}),
        ("Product", "i6", "rating_high", {"rating": 4}),
        ("Product", "i7", "rating_high", {"rating": 5}),
    ]


async def test_all_that_is_said_is_kept(http: httpx.AsyncClient) -> None:
    account, occurred_at = str(uuid4()), _ago(days=1)
    sent = feedback(
        account_id=account,
        event_id=str(uuid4()),
        session_id="s1",
        recommendation_id="r1",
        occurred_at=occurred_at,
        kind="rating",
        rating=5,
    )
    accepted = (await http.post("/api/v1/analytic/feedback", json=sent)).json()
    assert accepted["event_ids"] == [sent["event_id"]]
    (one,) = await _recorded(http, accepted, account)
    assert (one["event_id"], one["session_id"]) == (sent["event_id"], "s1")
    assert one["metadata"] == {"rating": 5, "recommendation_id": "r1"}
    assert datetime.fromisoformat(one["occurred_at"]) == datetime.fromisoformat(occurred_at)


async def test_a_like_moves_popularity_and_no_counter(http: httpx.AsyncClient) -> None:
    account, product = str(uuid4()), str(uuid4())
    await _recorded(http, (await _post(http, feedback(account_id=account, item_id=product))).json(), account)
    found = (await http.get(f"/popularity/{product}")).json()
    assert found["score"] == 0.4
    assert {found[name] for name in found if name.endswith("_count")} == {0}


async def test_sent_again_it_is_known(http: httpx.AsyncClient) -> None:
    named = feedback(event_id=str(uuid4()))
    key = {"Idempotency-Key": str(uuid4())}
    for sent, headers in ((named, {}), ({"feedback": [feedback(), feedback(kind="rating", rating=3)]}, key)):
        first, second = [(await _post(http, sent, headers=headers)).json() for _ in range(2)]
        assert first["duplicates"] == second["accepted"] == 0
        assert second["duplicates"] == first["accepted"] == len(first["event_ids"])
        assert second["event_ids"] == first["event_ids"]


async def test_it_shares_the_ledger_with_interactions(http: httpx.AsyncClient) -> None:
    event_id = str(uuid4())
    assert (await http.post("/interaction", json=body(event_id=event_id))).json()["accepted"] == 1
    assert (await _post(http, feedback(event_id=event_id))).json()["duplicates"] == 1


_WRONG = [
    ({"account_id": None}, "account_id"),
    ({"account_id": "a" * 129}, "account_id"),
    ({"item_id": ""}, "item_id"),
    ({"item_id": 7}, "item_id"),
    ({"kind": None}, "kind"),
    ({"kind": "love"}, "kind"),
    ({"kind": "rating"}, "rating"),
    ({"rating": 3}, "rating"),
    ({"kind": "rating", "rating": 0}, "rating"),
    ({"kind": "rating", "rating": 6}, "rating"),
    ({"kind": "rating", "rating": 3.5}, "rating"),
    ({"kind": "rating", "rating": "3"}, "rating"),
    ({"event_id": "1"}, "event_id"),
    ({"session_id": "s" * 129}, "session_id"),
    ({"recommendation_id": "r" * 129}, "recommendation_id"),
    ({"occurred_at": "yesterday"}, "occurred_at"),
    ({"occurred_at": _ago(hours=-1)}, "occurred_at"),
    ({"occurred_at": _ago(weeks=24, hours=1)}, "occurred_at"),
    ({"event_type": "view"}, "event_type"),
    ({"account_id": "a\0b"}, "account_id"),
    ({"item_id": "\0"}, "item_id"),
    ({"session_id": "\0"}, "session_id"),
    ({"recommendation_id": "\0"}, "recommendation_id"),
]


@pytest.mark.parametrize(("fields", "pointer"), _WRONG)
async def test_what_is_wrong_is_refused_with_its_place(
    http: httpx.AsyncClient, fields: dict[str, Any], pointer: str
) -> None:
    sent = {key: value for key, value in feedback(**fields).items() if value is not None}
    alone = _problem(await _post(http, sent), 422)
    assert [error["pointer"] for error in alone["errors"]] == [f"#/{pointer}"]
    among = _problem(await _post(http, {"feedback": [feedback(), sent]}), 422)
    assert [error["pointer"] for error in among["errors"]] == [f"#/feedback/1/{pointer}"]


@pytest.mark.parametrize("sent", [[], 1, None, {}, {"feedback": []}, {"feedback": [feedback()] * 1_001}])
async def test_what_can_not_be_feedback_is_422(http: httpx.AsyncClient, sent: object) -> None:
    _problem(await http.post("/feedback", content=json.dumps(sent), headers=JSON), 422)


async def test_what_is_no_json_and_what_is_too_much(http: httpx.AsyncClient) -> None:
    _problem(await http.post("/feedback", content=b"{", headers=JSON), 400)
    _problem(await http.post("/feedback", content=b"{}", headers={"content-type": "text/plain"}), 415)
    _problem(await http.post("/feedback", content=b'"' + b"x" * 1_048_576 + b'"', headers=JSON), 413)
    surrogate = _problem(await http.post("/feedback", content=b'{"item_id": "\\ud800"}', headers=JSON), 422)
    assert surrogate["errors"][0]["pointer"] == "#/item_id"


async def test_partial_records_the_valid_ones_and_names_the_others(http: httpx.AsyncClient) -> None:
    sent = {"feedback": [feedback(), feedback(kind="rating"), feedback()]}
    answer = (await _post(http, sent, params={"partial": "true"})).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert [error["pointer"] for error in answer["errors"]] == ["#/feedback/1/rating"]
