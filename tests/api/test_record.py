"""POST /interaction: what is taken, what is refused, and how a refusal says why."""

import asyncio
import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.factories import body
from tests.stack import Stack

JSON = {"content-type": "application/json"}


async def _post(http: httpx.AsyncClient, sent: object, **options: Any) -> httpx.Response:
    return await http.post("/interaction", json=sent, **options)


def _problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert problem["status"] == status
    return problem


def _ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


async def test_one_interaction(http: httpx.AsyncClient) -> None:
    answer = await _post(http, body())
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted.keys() == {"accepted", "duplicates", "event_ids", "batch_id"}
    assert (accepted["accepted"], accepted["duplicates"]) == (1, 0)
    assert UUID(accepted["event_ids"][0]).version == 7
    assert UUID(accepted["batch_id"]).version == 7


async def test_many_and_their_ids_in_the_order_sent(http: httpx.AsyncClient) -> None:
    ids = [str(uuid4()) for _ in range(1_000)]
    answer = await _post(http, {"interactions": [body(event_id=one) for one in ids]})
    assert answer.json()["accepted"] == 1_000
    assert answer.json()["event_ids"] == ids


async def test_it_also_answers_where_the_shop_had_it(http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/v1/analytic/interaction", json=body())).status_code == 202
    assert (await http.get("/api/v1/analytic/popularity/top")).status_code == 200


@pytest.mark.parametrize("dated", [False, True])
async def test_the_same_ids_again_are_duplicates(http: httpx.AsyncClient, dated: bool) -> None:
    time = {"occurred_at": _ago(hours=1)} if dated else {}
    sent = {"interactions": [body(event_id=str(uuid4()), **time) for _ in range(5)]}
    first, second = (await _post(http, sent)).json(), (await _post(http, sent)).json()
    assert (first["accepted"], first["duplicates"]) == (5, 0)
    assert (second["accepted"], second["duplicates"], second["batch_id"]) == (0, 5, None)
    assert second["event_ids"] == first["event_ids"]


async def test_the_same_id_twice_in_a_request_counts_once(http: httpx.AsyncClient) -> None:
    one = body(event_id=str(uuid4()))
    accepted = (await _post(http, {"interactions": [one, one, body()]})).json()
    assert (accepted["accepted"], accepted["duplicates"]) == (2, 1)


async def test_an_old_duplicate_is_known_though_it_is_behind_the_window(http: httpx.AsyncClient) -> None:
    sent = body(event_id=str(uuid4()), occurred_at=_ago(weeks=20))
    assert (await _post(http, sent)).json()["accepted"] == 1
    assert (await _post(http, sent)).json()["duplicates"] == 1


async def test_an_idempotency_key_makes_the_same_body_again_a_duplicate(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    sent = {"interactions": [body(), body(), body(ref_id="pot")]}
    first = (await _post(http, sent, headers=key)).json()
    assert first["accepted"] == 3  # equal interactions of one request are as many
    assert (await _post(http, sent, headers=key)).json()["duplicates"] == 3
    other = {"interactions": [body(), body(), body(ref_id="pan")]}
    answer = (await _post(http, other, headers=key)).json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 2)  # another body under the key swallows nothing


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_has_a_length(http: httpx.AsyncClient, key: str) -> None:
    problem = _problem(await _post(http, body(), headers={"Idempotency-Key": key}), 422)
    assert problem["errors"][0]["in"] == "header"


_WRONG = [
    ({"account_id": None}, "account_id"),
    ({"account_id": ""}, "account_id"),
    ({"account_id": "a" * 129}, "account_id"),
    ({"account_id": 7}, "account_id"),
    ({"account_number": "7"}, "account_number"),
    ({"account_number": 2**63}, "account_number"),
    ({"session_id": "s" * 129}, "session_id"),
    ({"event_type": "View"}, "event_type"),
    ({"event_type": "v" * 65}, "event_type"),
    ({"event_type": "view\n"}, "event_type"),
    ({"ref_type": "Shop"}, "ref_type"),
    ({"ref_id": ""}, "ref_id"),
    ({"event_id": "1"}, "event_id"),
    ({"occurred_at": "yesterday"}, "occurred_at"),
    ({"occurred_at": "2026-11-20T10:00:00"}, "occurred_at"),
    ({"occurred_at": 1_700_000_000}, "occurred_at"),
    ({"occurred_at": "1700000000"}, "occurred_at"),
    ({"occurred_at": _ago(hours=-1)}, "occurred_at"),
    ({"occurred_at": _ago(weeks=24, hours=1)}, "occurred_at"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"note": "x" * 4_097}}, "metadata"),
    ({"metadata": {"price": "cheap"}}, "metadata/price"),
    ({"metadata": {"price": True}}, "metadata/price"),
    ({"metadata": {"price": 10**400}}, "metadata/price"),
    ({"metadata": {"quantity": 0}}, "metadata/quantity"),
    ({"metadata": {"quantity": "1"}}, "metadata/quantity"),
    ({"metadata": {"currency": "EURO"}}, "metadata/currency"),
    ({"metadata": {"currency": "ABC"}}, "metadata/currency"),
    ({"metadata": {"seller_id": 5}}, "metadata/seller_id"),
    ({"metadata": {"position": -1}}, "metadata/position"),
    ({"ocurred_at": "2026-11-20T10:00:00Z"}, "ocurred_at"),
    ({"user_agent": "mine"}, "user_agent"),
    ({"account_id": "a\0b"}, "account_id"),
    ({"session_id": "\0"}, "session_id"),
    ({"ref_id": "\0"}, "ref_id"),
    ({"metadata": {"a": [{"b": "x\0"}]}}, "metadata/a/0/b"),
    ({"metadata": {"a\0": 1}}, "metadata/a\0"),
    ({"metadata": {"a/b": "\0"}}, "metadata/a~1b"),
]


@pytest.mark.parametrize(("fields", "pointer"), _WRONG)
async def test_what_is_wrong_is_refused_with_its_place(
    http: httpx.AsyncClient, fields: dict[str, Any], pointer: str
) -> None:
    sent = {key: value for key, value in body(**fields).items() if value is not None}
    alone = _problem(await _post(http, sent), 422)
    assert [error["pointer"] for error in alone["errors"]] == [f"#/{pointer}"]
    among = _problem(await _post(http, {"interactions": [body(), sent]}), 422)
    assert [error["pointer"] for error in among["errors"]] == [f"#/interactions/1/{pointer}"]
    assert among["errors"][0]["index"] == 1


async def test_all_or_nothing(http: httpx.AsyncClient) -> None:
    account = str(uuid4())
    _problem(await _post(http, {"interactions": [body(account_id=account), body(account_id="")]}), 422)
    again = body(account_id=account, event_id=str(uuid4()))
    assert (await _post(http, again)).json()["accepted"] == 1
    await http.get(f"/interaction/{again['event_id']}", params={"wait": "20s"})
    assert len((await http.get(f"/interactions/{account}")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"metadata": {"x": NaN}}', "metadata/x"),
        (b'{"metadata": {"x": [1e999]}}', "metadata/x/0"),
        (b'{"metadata": {"x": "\\ud800"}}', "metadata/x"),
        (b'{"ref_id": "\\udfff"}', "ref_id"),
    ],
)
async def test_json_that_is_none_everywhere_is_refused_with_its_place(
    http: httpx.AsyncClient, raw: bytes, pointer: str
) -> None:
    rest = {key: value for key, value in body().items() if key != pointer.split("/", maxsplit=1)[0]}
    content = json.dumps(rest).encode()[:-1] + b"," + raw[1:]
    problem = _problem(await http.post("/interaction", content=content, headers=JSON), 422)
    assert [error["pointer"] for error in problem["errors"]] == [f"#/{pointer}"]


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b'{"a": "\x01"}', b"[" * 100_000, b"nonsense"])
async def test_what_is_not_json_is_400(http: httpx.AsyncClient, raw: bytes) -> None:
    _problem(await http.post("/interaction", content=raw, headers=JSON), 400)


@pytest.mark.parametrize(
    "sent", [[], 1, "x", None, {}, {"interactions": []}, {"interactions": {}}, {"interactions": [body()] * 1_001}]
)
async def test_what_can_not_be_interactions_is_422(http: httpx.AsyncClient, sent: object) -> None:
    content = json.dumps(sent)
    _problem(await http.post("/interaction", content=content, headers=JSON), 422)
    _problem(await http.post("/interaction", content=content, headers=JSON, params={"partial": "true"}), 422)


async def test_many_with_another_key_beside_is_refused(http: httpx.AsyncClient) -> None:
    problem = _problem(await _post(http, {"sent_at": 1, "interactions": [body()]}), 422)
    assert problem["errors"][0]["pointer"] == "#/sent_at"


async def test_metadata_that_speaks_of_interactions_is_only_metadata(http: httpx.AsyncClient) -> None:
    assert (await _post(http, body(metadata={"interactions": [1]}))).status_code == 202


async def test_partial_records_the_valid_ones_and_names_the_others(http: httpx.AsyncClient) -> None:
    good = [body(event_id=str(uuid4())) for _ in range(3)]
    bad = [body(account_id=""), body(metadata={"quantity": 0}), body(occurred_at=_ago(weeks=30))]
    sent = {"interactions": [good[0], bad[0], good[1], bad[1], bad[2], good[2]]}
    answer = await _post(http, sent, params={"partial": "true"})
    assert answer.status_code == 202
    accepted = answer.json()
    assert (accepted["accepted"], accepted["duplicates"], accepted["rejected"]) == (3, 0, 3)
    assert accepted["event_ids"] == [one["event_id"] for one in good]
    assert [error["index"] for error in accepted["errors"]] == [1, 3, 4]
    assert all(error["pointer"].startswith(f"#/interactions/{error['index']}/") for error in accepted["errors"])
    assert all(error["reason"] for error in accepted["errors"])


async def test_partial_with_none_valid_is_422(http: httpx.AsyncClient) -> None:
    problem = _problem(await _post(http, {"interactions": [body(ref_id="")] * 2}, params={"partial": "true"}), 422)
    assert [error["index"] for error in problem["errors"]] == [0, 1]
    assert _problem(await _post(http, body(), params={"partial": "maybe"}), 422)["errors"][0]["in"] == "query"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_taken(http: httpx.AsyncClient, media_type: str) -> None:
    answer = await http.post("/interaction", content=b"{}", headers={"content-type": media_type})
    _problem(answer, 415)


async def test_json_with_a_charset_is_json(http: httpx.AsyncClient) -> None:
    content = json.dumps(body()).encode()
    answer = await http.post(
        "/interaction", content=content, headers={"content-type": "Application/JSON; charset=utf-8"}
    )
    assert answer.status_code == 202


async def test_a_body_over_a_mebibyte_is_413_whether_its_length_is_said_or_not(http: httpx.AsyncClient) -> None:
    large = b'{"x": "' + b"x" * 1_048_576 + b'"}'
    _problem(await http.post("/interaction", content=large, headers=JSON), 413)

    async def chunks() -> Any:
        for at in range(0, len(large), 65_536):
            yield large[at : at + 65_536]

    _problem(await http.post("/interaction", content=chunks(), headers=JSON), 413)


def test_a_length_said_to_be_too_large_is_refused_before_the_body_comes(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as connection:
        connection.sendall(
            b"POST /interaction HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n"
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")


async def test_requests_at_once_with_the_same_events_count_each_once(http: httpx.AsyncClient) -> None:
    events = [body(event_id=str(uuid4())) for _ in range(60)]
    sent = [{"interactions": events[at : at + 30]} for at in (0, 10, 20, 30)] * 5
    answers = await asyncio.gather(*(_post(http, one) for one in sent))
    assert sum(answer.json()["accepted"] for answer in answers) == 60
    assert all(answer.json()["accepted"] + answer.json()["duplicates"] == 30 for answer in answers)
