"""The catalog over HTTP: what is stored is what was sent, whole, all or none; and what is deleted says so."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.factories import body

JSON = {"content-type": "application/json"}
Json = dict[str, Any]


def item(**fields: Any) -> Json:
    return {"item_id": "cup", "title": "A cup", **fields}


def user(**fields: Any) -> Json:
    return {"account_id": "alice", **fields}


FULL_ITEM = item(
    description="Holds 60 ml.\nOf porcelain.",
    category="kitchen",
    subcategory="cups",
    tags=["white", "ünïcode"],
    price="12.50",
    currency="EUR",
    created_at="2026-01-02T03:04:05.678901Z",
    is_active=False,
    in_stock=False,
)
FULL_USER = user(
    preferred_categories=["kitchen", "tea"], language="pt-BR", country="BR", created_at="1999-12-31T23:59:59Z"
)


async def _put(http: httpx.AsyncClient, path: str, sent: object) -> Json:
    answer = await http.put(path, json=sent)
    assert answer.status_code == 200, answer.text
    stored: Json = answer.json()
    return stored


async def _get(http: httpx.AsyncClient, path: str, **parameters: Any) -> Json:
    answer = await http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def _problem(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: Json = answer.json()
    return problem


def _without(found: Json, *names: str) -> Json:
    return {name: value for name, value in found.items() if name not in names}


async def test_an_item_is_what_was_put(http: httpx.AsyncClient) -> None:
    item_id = f"i/{uuid4()} ü?\n"
    assert await _put(http, "/items", {**FULL_ITEM, "item_id": item_id}) == {"stored": 1}
    found = await _get(http, f"/items/{quote(item_id, safe='')}")
    assert _without(found, "changed_at") == {**FULL_ITEM, "item_id": item_id}
    assert datetime.fromisoformat(found["changed_at"]) > datetime.now(UTC) - timedelta(minutes=5)


async def test_a_profile_is_what_was_put(http: httpx.AsyncClient) -> None:
    account = f"a/{uuid4()} ü?\n"
    assert await _put(http, "/users", {**FULL_USER, "account_id": account}) == {"stored": 1}
    found = await _get(http, f"/users/{quote(account, safe='')}")
    assert _without(found, "changed_at") == {**FULL_USER, "account_id": account}


async def test_what_is_not_said_is_left_out_or_what_is_usual(http: httpx.AsyncClient) -> None:
    one = str(uuid4())
    await _put(http, "/items", item(item_id=one, description=None, category=None))
    found = await _get(http, f"/items/{one}")
    usual = {"tags": [], "is_active": True, "in_stock": True}
    assert _without(found, "created_at", "changed_at") == {**item(item_id=one), **usual}
    assert found["created_at"] == found["changed_at"]
    await _put(http, "/users", user(account_id=one))
    found = await _get(http, f"/users/{one}")
    assert _without(found, "created_at", "changed_at") == {"account_id": one, "preferred_categories": []}


async def test_many_at_once(http: httpx.AsyncClient) -> None:
    ids = [f"{n}-{uuid4()}" for n in range(1_000)]
    assert await _put(http, "/items", {"items": [item(item_id=one) for one in ids]}) == {"stored": 1_000}
    assert await _put(http, "/users", {"users": [user(account_id=one) for one in ids]}) == {"stored": 1_000}
    assert (await _get(http, f"/items/{ids[-1]}"))["item_id"] == ids[-1]
    assert (await _get(http, f"/users/{ids[-1]}"))["account_id"] == ids[-1]


async def test_put_replaces_the_whole_and_keeps_when_it_was_created(http: httpx.AsyncClient) -> None:
    one = str(uuid4())
    await _put(http, "/items", {**FULL_ITEM, "item_id": one})
    await _put(http, "/items", item(item_id=one, title="Another"))
    found = await _get(http, f"/items/{one}")
    assert _without(found, "changed_at") == {
        "item_id": one, "title": "Another", "tags": [], "is_active": True, "in_stock": True,
        "created_at": FULL_ITEM["created_at"],
    }  # fmt: skip
    await _put(http, "/users", {**FULL_USER, "account_id": one})
    await _put(http, "/users", user(account_id=one))
    found = await _get(http, f"/users/{one}")
    assert _without(found, "changed_at") == {
        "account_id": one, "preferred_categories": [], "created_at": FULL_USER["created_at"],
    }  # fmt: skip


async def test_the_same_again_changes_nothing(http: httpx.AsyncClient) -> None:
    one = str(uuid4())
    for path, sent in (
        ("/items", item(item_id=one)),
        ("/items", {**FULL_ITEM, "item_id": one}),
        ("/users", user(account_id=one)),
        ("/users", {**FULL_USER, "account_id": one}),
    ):
        assert await _put(http, path, sent) == {"stored": 1}
        before = await _get(http, f"{path}/{one}")
        assert await _put(http, path, sent) == {"stored": 1}
        assert await _get(http, f"{path}/{one}") == before


@pytest.mark.parametrize(("path", "sent"), [("/items", FULL_ITEM), ("/users", FULL_USER)])
async def test_what_is_deleted_says_so_until_it_is_put_again(http: httpx.AsyncClient, path: str, sent: Json) -> None:
    one = str(uuid4())
    sent = {**sent, "item_id" if path == "/items" else "account_id": one}
    if path == "/items":
        sent |= {"is_active": True}
    await _put(http, path, sent)
    before = await _get(http, f"{path}/{one}")
    gone = await http.delete(f"{path}/{one}")
    assert (gone.status_code, gone.content) == (204, b"")
    deleted = await _get(http, f"{path}/{one}")
    assert deleted["deleted_at"] == deleted["changed_at"] > before["changed_at"]
    assert deleted.get("is_active", False) is False
    rest = ("deleted_at", "changed_at", "is_active")
    assert _without(deleted, *rest) == _without(before, *rest)
    assert (await http.delete(f"{path}/{one}")).status_code == 204
    assert await _get(http, f"{path}/{one}") == deleted  # again changes nothing
    await _put(http, path, sent)
    back = await _get(http, f"{path}/{one}")
    assert _without(back, "changed_at") == _without(before, "changed_at")
    assert back["changed_at"] > deleted["changed_at"]


@pytest.mark.parametrize("path", ["/items", "/users"])
async def test_what_nobody_has_put(http: httpx.AsyncClient, path: str) -> None:
    for unknown in (str(uuid4()), "%00"):
        _problem(await http.get(f"{path}/{unknown}"), 404)
        _problem(await http.delete(f"{path}/{unknown}"), 404)
    _problem(await http.get(f"{path}/{'x' * 129}"), 422)


async def test_it_also_answers_where_the_shop_had_it(http: httpx.AsyncClient) -> None:
    one, old = str(uuid4()), "/api/v1/analytic"
    await _put(http, f"{old}/items", item(item_id=one))
    await _put(http, f"{old}/users", user(account_id=one))
    assert (await _get(http, f"{old}/items/{one}"))["item_id"] == one
    assert (await _get(http, f"{old}/users/{one}"))["account_id"] == one
    assert (await _get(http, f"{old}/items", limit=1))["items"]
    assert (await http.delete(f"{old}/items/{one}")).status_code == 204
    assert (await http.delete(f"{old}/users/{one}")).status_code == 204


_WRONG_ITEMS = [
    ({"item_id": None}, "item_id"),
    ({"item_id": ""}, "item_id"),
    ({"item_id": "i" * 129}, "item_id"),
    ({"item_id": 7}, "item_id"),
    ({"title": None}, "title"),
    ({"title": ""}, "title"),
    ({"title": "t" * 501}, "title"),
    ({"description": "d" * 10_001}, "description"),
    ({"category": ""}, "category"),
    ({"category": "c" * 101}, "category"),
    ({"subcategory": 5}, "subcategory"),
    ({"tags": "white"}, "tags"),
    ({"tags": ["t"] * 51}, "tags"),
    ({"tags": ["white", ""]}, "tags/1"),
    ({"price": 12.5}, "price"),
    ({"price": "-1"}, "price"),
    ({"price": "1e3"}, "price"),
    ({"price": "01"}, "price"),
    ({"price": "1.1234567"}, "price"),
    ({"price": "1\n"}, "price"),
    ({"price": "\N{ARABIC-INDIC DIGIT ONE}"}, "price"),
    ({"currency": "EURO"}, "currency"),
    ({"created_at": "yesterday"}, "created_at"),
    ({"created_at": "2026-01-02T03:04:05"}, "created_at"),
    ({"created_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "created_at"),
    ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
    ({"is_active": 1}, "is_active"),
    ({"in_stock": "yes"}, "in_stock"),
    ({"deleted_at": "2026-01-02T03:04:05Z"}, "deleted_at"),
    ({"item_id": "\0"}, "item_id"),
    ({"title": "a\0b"}, "title"),
    ({"description": "\0"}, "description"),
    ({"category": "\0"}, "category"),
    ({"tags": ["white", "\0"]}, "tags/1"),
]
_WRONG_USERS = [
    ({"account_id": None}, "account_id"),
    ({"account_id": "a" * 129}, "account_id"),
    ({"preferred_categories": ["kitchen", ""]}, "preferred_categories/1"),
    ({"preferred_categories": ["c"] * 51}, "preferred_categories"),
    ({"language": "english"}, "language"),
    ({"language": "en-"}, "language"),
    ({"language": "en" + "-abcdefgh" * 4}, "language"),
    ({"country": "Germany"}, "country"),
    ({"country": "de"}, "country"),
    ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
    ({"email": "alice@example.org"}, "email"),
    ({"account_id": "\0"}, "account_id"),
    ({"preferred_categories": ["\0"]}, "preferred_categories/0"),
]
_WRONG = [("items", item, *one) for one in _WRONG_ITEMS] + [("users", user, *one) for one in _WRONG_USERS]


@pytest.mark.parametrize(("name", "make", "fields", "pointer"), _WRONG)
async def test_what_is_wrong_is_refused_with_its_place(
    http: httpx.AsyncClient, name: str, make: Any, fields: Json, pointer: str
) -> None:
    sent = {key: value for key, value in make(**fields).items() if value is not None}
    alone = _problem(await http.put(f"/{name}", json=sent), 422)
    assert [error["pointer"] for error in alone["errors"]] == [f"#/{pointer}"]
    among = _problem(await http.put(f"/{name}", json={name: [make(), sent]}), 422)
    assert [error["pointer"] for error in among["errors"]] == [f"#/{name}/1/{pointer}"]
    assert among["errors"][0]["index"] == 1


@pytest.mark.parametrize(("name", "make", "id_name"), [("items", item, "item_id"), ("users", user, "account_id")])
async def test_all_or_nothing(http: httpx.AsyncClient, name: str, make: Any, id_name: str) -> None:
    one, other = str(uuid4()), str(uuid4())
    good = make(**{id_name: one})
    _problem(await http.put(f"/{name}", json={name: [good, make(**{id_name: ""})]}), 422)
    twice = _problem(await http.put(f"/{name}", json={name: [good, make(**{id_name: other}), good, good]}), 422)
    assert [(error["pointer"], error["index"]) for error in twice["errors"]] == [
        (f"#/{name}/2/{id_name}", 2),
        (f"#/{name}/3/{id_name}", 3),
    ]
    for unknown in (one, other):
        assert (await http.get(f"/{name}/{unknown}")).status_code == 404


@pytest.mark.parametrize("name", ["items", "users"])
async def test_bodies_that_are_no_catalog(http: httpx.AsyncClient, name: str) -> None:
    make = {"items": item, "users": user}[name]
    path = f"/{name}"
    no_catalog: list[object] = [
        [],
        1,
        None,
        {},
        {name: []},
        {name: {}},
        {name: [make()] * 1_001},
        {name: [make()], "sent_at": 1},
    ]
    for sent in no_catalog:
        _problem(await http.put(path, content=json.dumps(sent), headers=JSON), 422)
    for raw in (b"", b"{", b"\xff\xfe"):
        _problem(await http.put(path, content=raw, headers=JSON), 400)
    _problem(await http.put(path, content=b"{}", headers={"content-type": "text/plain"}), 415)
    _problem(await http.put(path, content=b'"' + b"x" * 1_048_576 + b'"', headers=JSON), 413)
    lone = json.dumps({name: [make(), {**make(), "language": "\ud800"}]}).encode()
    assert _problem(await http.put(path, content=lone, headers=JSON), 422)["errors"][0]["pointer"] == (
        f"#/{name}/1/language"
    )


async def _pages(http: httpx.AsyncClient, **parameters: Any) -> list[Json]:
    found: list[Json] = []
    cursor: Json = {}
    while True:
        page = await _get(http, "/items", **parameters, **cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_pages_of_a_category_meet(http: httpx.AsyncClient) -> None:
    category, ids = str(uuid4()), [f"{n:02}-{uuid4()}" for n in range(25)]
    for at in range(0, 25, 5):
        await _put(http, "/items", {"items": [item(item_id=one, category=category) for one in ids[at : at + 5]]})
    await _put(http, "/items", item(item_id=str(uuid4()), category="another"))
    assert [one["item_id"] for one in await _pages(http, category=category, limit=4)] == ids
    everything = [one["item_id"] for one in await _pages(http, limit=1_000)]
    assert [one for one in everything if one in ids] == ids
    assert len(everything) > 25


async def test_following_what_changes(http: httpx.AsyncClient) -> None:
    category, ids = str(uuid4()), [f"{n}-{uuid4()}" for n in range(6)]
    await _put(http, "/items", {"items": [item(item_id=one, category=category) for one in ids]})
    seen = await _pages(http, category=category, limit=4)
    since = seen[-1]["changed_at"]
    assert await _pages(http, category=category, changed_since=since) == []
    await _put(http, "/items", item(item_id=ids[3], category=category, price="1"))
    await http.delete(f"/items/{ids[1]}")
    await _put(http, "/items", item(item_id=ids[0], category=category))  # the same: no change
    changed = await _pages(http, category=category, changed_since=since, limit=1)
    assert [(one["item_id"], one["is_active"], one.get("price")) for one in changed] == [
        (ids[3], True, "1"),
        (ids[1], False, None),
    ]


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"limit": 0}, "#/limit"),
        ({"limit": 1_001}, "#/limit"),
        ({"category": ""}, "#/category"),
        ({"category": "c" * 101}, "#/category"),
        ({"changed_since": "yesterday"}, "#/changed_since"),
        ({"changed_since": "2026-01-02T03:04:05"}, "#/changed_since"),
        ({"cursor": "nonsense"}, "#/cursor"),
    ],
)
async def test_wrong_parameters_are_named(http: httpx.AsyncClient, parameters: Json, pointer: str) -> None:
    problem = _problem(await http.get("/items", params=parameters), 422)
    assert [(error["in"], error["pointer"]) for error in problem["errors"]] == [("query", pointer)]


async def test_a_cursor_belongs_to_its_category(http: httpx.AsyncClient) -> None:
    await _put(http, "/items", {"items": [item(item_id=str(uuid4())) for _ in range(2)]})
    cursor = (await _get(http, "/items", limit=1))["next_cursor"]
    _problem(await http.get("/items", params={"cursor": cursor, "category": "kitchen"}), 422)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00"])
async def test_moments_at_the_ends_of_time(http: httpx.AsyncClient, moment: str) -> None:
    await _put(http, "/items", item(item_id=str(uuid4())))
    found = await _get(http, "/items", changed_since=moment, limit=1)
    assert len(found["items"]) == (1 if moment.startswith("0001") else 0)


async def test_a_nul_is_in_no_category(http: httpx.AsyncClient) -> None:
    assert await _get(http, "/items", category="\0") == {"items": [], "next_cursor": None}


async def test_an_item_that_nobody_has_put_counts_all_the_same(http: httpx.AsyncClient) -> None:
    product = str(uuid4())
    accepted = (await http.post("/interaction", json=body(ref_id=product))).json()
    await http.get(f"/batches/{accepted['batch_id']}", params={"wait": "30s"})
    assert (await _get(http, f"/popularity/{product}"))["view_count"] == 1
    _problem(await http.get(f"/items/{product}"), 404)


async def test_puts_at_once_of_the_same_items_end_as_one_of_them(http: httpx.AsyncClient) -> None:
    category, ids = str(uuid4()), [str(uuid4()) for _ in range(50)]
    bodies = [
        {"items": [item(item_id=one, title=f"t{n}", category=category) for one in ids[:: 1 - 2 * (n % 2)]]}
        for n in range(20)
    ]
    answers = await asyncio.gather(*(http.put("/items", json=one) for one in bodies))
    assert {answer.status_code for answer in answers} == {200}
    found = (await _get(http, "/items", category=category))["items"]
    assert (len(found), len({one["title"] for one in found})) == (50, 1)
