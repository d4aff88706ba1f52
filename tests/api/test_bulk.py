"""POST /interaction with lines of JSON: up to 10,000 of them, and whatever is wrong is told with its line."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from tests.conftest import eventually
from tests.factories import body
from tests.stack import Stack

NDJSON = {"content-type": "application/x-ndjson"}
_MOST_BYTES = 8 * 1024 * 1024


def lines(*sent: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in sent)


async def _post(http: httpx.AsyncClient, content: bytes, **options: Any) -> httpx.Response:
    headers = NDJSON | options.pop("headers", {})
    return await http.post("/interaction", content=content, headers=headers, timeout=60, **options)


def _problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


def _events(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [body(event_id=str(uuid4()), **fields) for _ in range(count)]


async def test_ten_thousand_are_one_row_and_counted_once_however_often_they_come(
    http: httpx.AsyncClient, stack: Stack
) -> None:
    account, product = str(uuid4()), str(uuid4())
    events = _events(10_000, account_id=account, ref_id=product, metadata={"price": "12.50"})
    first = await _post(http, lines(*events))
    assert first.status_code == 202, first.text
    accepted = first.json()
    assert (accepted["accepted"], accepted["duplicates"]) == (10_000, 0)
    assert accepted["event_ids"] == [one["event_id"] for one in events]
    connection = await asyncpg.connect(stack.database_url)
    rows = "SELECT count(DISTINCT intake_id) FROM event_ledger WHERE event_id = ANY ($1::uuid[])"
    assert await connection.fetchval(rows, [UUID(one["event_id"]) for one in events]) == 1
    await connection.close()
    again = (await _post(http, lines(*events))).json()
    assert (again["accepted"], again["duplicates"], again["batch_id"]) == (0, 10_000, None)
    more = (await _post(http, lines(*events[5_000:], *_events(5_000, account_id=account, ref_id=product)))).json()
    assert (more["accepted"], more["duplicates"]) == (5_000, 5_000)

    async def counted() -> None:
        assert (await http.get(f"/popularity/{product}")).json().get("view_count") == 15_000

    await eventually(counted, within_s=60)
    last = await http.get(f"/interaction/{events[-1]['event_id']}", params={"wait": "20s"})
    assert last.json()["state"] == "done"


async def test_late_ones_that_come_again_are_duplicates(http: httpx.AsyncClient) -> None:
    late = _events(1_500, occurred_at="2026-11-01T10:00:00Z")
    for one in late[::2]:
        one["account_id"] = str(uuid4())
    sent = lines(*late, *_events(10))
    assert (await _post(http, sent)).json()["accepted"] == 1_510
    assert (await _post(http, sent)).json()["duplicates"] == 1_510


async def test_bulks_and_single_ones_at_once_with_the_same_events_count_each_once(http: httpx.AsyncClient) -> None:
    events = _events(3_000)
    bulks = [_post(http, lines(*events[at : at + 2_000])) for at in (0, 500, 1_000)]
    singles = [http.post("/interaction", json=one) for one in events[::300]]
    answers = [one.json() for one in await asyncio.gather(*bulks, *singles)]
    assert sum(one["accepted"] for one in answers) == 3_000
    assert sum(one["accepted"] + one["duplicates"] for one in answers) == 6_010


async def test_one_more_than_ten_thousand_is_refused_as_a_whole(http: httpx.AsyncClient) -> None:
    events = _events(10_001)
    for partial in ("false", "true"):
        problem = _problem(await _post(http, lines(*events), params={"partial": partial}), 422)
        assert "10001 lines, the limit is 10000" in problem["detail"]
    assert (await http.get(f"/interaction/{events[0]['event_id']}")).status_code == 404


async def test_blank_lines_count_as_lines_and_are_passed_over(http: httpx.AsyncClient) -> None:
    good = [json.dumps(body()).encode() for _ in range(2)]
    answer = await _post(http, b"\n\r\n  \n" + good[0] + b"\r\n\n" + good[1])
    assert answer.json()["accepted"] == 2
    problem = _problem(await _post(http, b"\n" + good[0] + b"\n\n{}\n"), 422)
    assert {(one["line"], one["index"]) for one in problem["errors"]} == {(4, 1)}
    assert "line 4: #/account_id: Field required" in problem["detail"]


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n"])
async def test_nothing_but_blank_lines_is_refused(http: httpx.AsyncClient, content: bytes) -> None:
    assert "no line has anything on it" in _problem(await _post(http, content), 422)["detail"]


async def test_blank_lines_without_end_are_refused(http: httpx.AsyncClient) -> None:
    assert "over 20000 lines" in _problem(await _post(http, b"\n" * 20_001 + lines(body())), 422)["detail"]
    assert (await _post(http, b"\n" * 19_999 + lines(body()))).status_code == 202


_WRONG = [
    (b"{", "", "Invalid JSON: EOF while parsing an object at column 1"),
    (b"\xff", "", "Invalid JSON"),
    (b"{}{}", "", "Invalid JSON: trailing"),
    (json.dumps(body()).encode() + b"," + json.dumps(body()).encode(), "", "Invalid JSON: trailing"),
    (b"[]", "", "should be an object"),
    (b"1", "", "should be an object"),
    (lines(body(account_id=""))[:-1], "/account_id", "at least 1 character"),
    (lines(body(event_type="View"))[:-1], "/event_type", "match pattern"),
    (lines({"interactions": [body()]})[:-1], "/interactions", "not permitted"),
    (lines(body(metadata={"note": "x" * 4_097}))[:-1], "/metadata", "the limit is 4096"),
    (lines(body(metadata={"a": [{"b": "x\0"}]}))[:-1], "/metadata/a/0/b", "NUL"),
    (b'{"ref_id": "\\udfff"}', "/ref_id", "surrogates"),
    (lines(body(metadata={"x": float("nan")}))[:-1], "/metadata/x", "finite"),
    (lines(body(occurred_at="2020-01-01T00:00:00Z"))[:-1], "/occurred_at", "weeks ago"),
    (lines(body(metadata={"note": "x" * 65_536}))[:-1], "", "the limit is 65536"),
]


@pytest.mark.parametrize(("line", "pointer", "reason"), _WRONG)
async def test_one_wrong_line_refuses_all_and_is_named(
    http: httpx.AsyncClient, line: bytes, pointer: str, reason: str
) -> None:
    good = _events(700)
    content = lines(*good[:500]) + line + b"\n" + lines(*good[500:])
    problem = _problem(await _post(http, content), 422)
    told = {(one["line"], one["index"]) for one in problem["errors"]}
    assert told == {(501, 500)}
    assert any(one["pointer"] == f"#{pointer}" and reason in one["reason"] for one in problem["errors"]), problem
    assert problem["detail"].startswith("line 501: ")
    assert (await http.get(f"/interaction/{good[0]['event_id']}")).status_code == 404


async def test_an_object_over_two_lines_is_none_though_the_lines_around_it_make_up_for_it(
    http: httpx.AsyncClient,
) -> None:
    """Taken together, with commas between the lines, these would be three interactions on three lines."""
    one = json.dumps(body(metadata={"list": [{}, {}]}))
    head, _, rest = one.partition("{}, {}")
    two = json.dumps(body()) + "," + json.dumps(body())
    problem = _problem(await _post(http, f"{two}\n{head}{{}}\n{{}}{rest}\n".encode()), 422)
    assert [error["line"] for error in problem["errors"]] == [1, 2, 3]


async def test_partial_records_the_valid_ones_and_names_the_lines_of_the_others(http: httpx.AsyncClient) -> None:
    good = _events(3)
    content = lines(good[0]) + b"\n{nonsense\n" + lines(good[1], body(account_id=""), good[2])
    answer = await _post(http, content, params={"partial": "true"})
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert (accepted["accepted"], accepted["rejected"]) == (3, 2)
    assert accepted["event_ids"] == [one["event_id"] for one in good]
    told = [(one["index"], one["line"], one["pointer"]) for one in accepted["errors"]]
    assert told == [(1, 3, "#"), (3, 5, "#/account_id")]
    problem = _problem(await _post(http, b"{}\n1\n", params={"partial": "true"}), 422)
    assert {one["line"] for one in problem["errors"]} == {1, 2}


async def test_of_a_line_with_very_many_faults_some_are_told(http: httpx.AsyncClient) -> None:
    line = json.dumps({f"a{number}": 1 for number in range(5_000)}).encode()
    problem = _problem(await _post(http, line), 422)
    assert len(problem["errors"]) == 21
    assert "more faults on this line" in problem["errors"][-1]["reason"]


async def test_an_idempotency_key_goes_by_the_place_among_those_that_are_not_blank(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    sent = [body(), body(), body(ref_id="pot")]
    assert (await _post(http, lines(*sent), headers=key)).json()["accepted"] == 3
    assert (await _post(http, b"\n" + lines(*sent), headers=key)).json()["duplicates"] == 3
    as_json = await http.post("/interaction", json={"interactions": sent}, headers=key)
    assert as_json.json()["duplicates"] == 3


async def test_a_stream_without_a_length_is_answered_at_its_end(http: httpx.AsyncClient) -> None:
    events = _events(500)

    async def trickle() -> AsyncIterator[bytes]:
        whole = lines(*events)
        for at in range(0, len(whole), 7_001):  # not where lines end
            yield whole[at : at + 7_001]
            await asyncio.sleep(0)

    answer = await http.post("/interaction", content=trickle(), headers=NDJSON)
    assert answer.json()["event_ids"] == [one["event_id"] for one in events]


def _padded(size: int) -> bytes:
    """So many bytes: valid lines, and spaces behind the last."""
    some = lines(*[body(metadata={"note": "x" * 3_900})] * 2_000)
    assert len(some) < size
    return some + b" " * (size - len(some))


@pytest.mark.parametrize("chunked", [False, True])
async def test_eight_mebibytes_are_taken_and_not_a_byte_more(http: httpx.AsyncClient, chunked: bool) -> None:
    async def in_chunks(whole: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(whole), 65_536):
            yield whole[at : at + 65_536]

    for size, status in ((_MOST_BYTES, 202), (_MOST_BYTES + 1, 413)):
        sent = _padded(size)
        content = in_chunks(sent) if chunked else sent
        answer = await http.post("/interaction", content=content, headers=NDJSON, timeout=60)
        assert answer.status_code == status, answer.text
    assert str(_MOST_BYTES) in answer.json()["detail"]


@pytest.mark.parametrize("route", ["/feedback", "/items"])
async def test_lines_are_for_interactions_alone(http: httpx.AsyncClient, route: str) -> None:
    ask = http.put if route == "/items" else http.post
    problem = _problem(await ask(route, content=b"{}\n", headers=NDJSON), 415)
    assert problem["detail"] == "The body must be application/json, not application/x-ndjson."
    text = _problem(await http.post("/interaction", content=b"{}", headers={"content-type": "text/plain"}), 415)
    assert text["detail"] == "The body must be application/json or application/x-ndjson, not text/plain."
