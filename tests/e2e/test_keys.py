"""API keys, with real processes: what they open, and that nothing goes past them."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually, new_database
from tests.e2e.securing import bearer, client, made_key, running_api, until_known
from tests.factories import body
from tests.stack import Stack, footfall, footfall_says

SCOPES = ("ingest", "read", "operate")


@pytest.fixture(scope="module")
async def closed(postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path) -> AsyncIterator[Stack]:
    """An API, without a worker, on a database that has a key: the others are for each test to make."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        stack = Stack(url, temporal.address, servers_dir / "logs")
        await made_key(stack, *SCOPES)
        with running_api(stack) as api:
            yield api


@pytest.fixture(scope="module")
async def keys(closed: Stack) -> dict[str, str]:
    made = {scope: (await made_key(closed, scope))["key"] for scope in SCOPES}
    for key in made.values():
        async with client(closed.url, key) as http:
            await until_known(http)
    return made


ITEM = {"item_id": "i", "title": "t"}
ASKED = [
    ("POST", "/interaction", {"ingest"}),
    ("POST", "/feedback", {"ingest"}),
    ("GET", f"/interaction/{uuid4()}", {"ingest", "read"}),
    ("GET", f"/batches/{uuid4()}", {"ingest", "read"}),
    ("GET", "/interactions/alice", {"read"}),
    ("GET", "/recommendations/alice", {"read"}),
    ("GET", "/popularity/top", {"read"}),
    ("GET", "/popularity/cup", {"read"}),
    ("GET", "/items", {"read"}),
    ("GET", "/items/cup", {"read"}),
    ("PUT", "/items", {"operate"}),
    ("DELETE", "/items/cup", {"operate"}),
    ("GET", "/users/alice", {"read"}),
    ("PUT", "/users", {"operate"}),
    ("DELETE", "/users/alice", {"operate"}),
    ("GET", "/experiments", {"read"}),
    ("GET", "/experiments/one", {"read"}),
    ("GET", "/metrics", {"read"}),
]


@pytest.mark.parametrize("prefix", ["", "/api/v1/analytic"])
async def test_each_scope_opens_its_routes_and_no_other(closed: Stack, keys: dict[str, str], prefix: str) -> None:
    async with client(closed.url) as http:
        for method, path, scopes in ASKED:
            nobody = await http.request(method, prefix + path)
            assert nobody.status_code == 401, (method, path)
            assert nobody.headers["www-authenticate"] == "Bearer"
            assert nobody.headers["content-type"] == "application/problem+json"
            for scope, key in keys.items():
                answer = await http.request(method, prefix + path, headers=bearer(key))
                if scope in scopes:
                    assert answer.status_code not in (401, 403), (method, path, scope, answer.text)
                else:
                    assert answer.status_code == 403, (method, path, scope, answer.text)
                    assert "needs the scope" in answer.json()["detail"]


async def test_a_key_in_either_header_records(closed: Stack, keys: dict[str, str]) -> None:
    async with client(closed.url) as http:
        for headers in (
            bearer(keys["ingest"]),
            {"X-API-Key": keys["ingest"]},
            {"authorization": f"bearer {keys['ingest']}"},
        ):
            accepted = await http.post("/interaction", json=body(), headers=headers)
            assert accepted.status_code == 202, accepted.text


async def test_paths_that_look_like_others_open_nothing(closed: Stack) -> None:
    async with client(closed.url) as http:
        for path in (
            "//popularity/top",
            "/popularity/top/",
            "/popularity%2Ftop",
            "/POPULARITY/top",
            "/nothing",
            "/health/live/",
        ):
            assert (await http.get(path)).status_code in (401, 404), path
        assert (await http.get("/popularity/%74op")).status_code == 401
        assert (await http.request("HEAD", "/popularity/top")).status_code == 405
        assert (await http.options("/interaction")).status_code == 405


async def test_health_and_the_documents_ask_for_no_key(closed: Stack) -> None:
    async with client(closed.url) as http:
        for path in ("/health/live", "/health/ready", "/openapi.json", "/docs", "/redoc"):
            assert (await http.get(path)).status_code == 200, path


async def test_what_is_no_key_is_told_so(closed: Stack, keys: dict[str, str]) -> None:
    async with client(closed.url) as http:
        for secret, said in (
            (keys["read"][:-1], "not a whole key"),
            (keys["read"][:-7] + ("a" if keys["read"][-7] != "a" else "b") + keys["read"][-6:], "not a whole key"),
            ("a.b.c", "not a whole key"),
            ("x", "not a whole key"),
        ):
            answer = await http.get("/popularity/top", headers=bearer(secret))
            assert answer.status_code == 401
            assert said in answer.json()["detail"]
            assert "invalid_token" in answer.headers["www-authenticate"]


async def test_rotation_has_two_keys_at_once_and_a_revoked_one_is_refused(closed: Stack) -> None:
    old, new = await made_key(closed, "read"), await made_key(closed, "read")
    async with client(closed.url, old["key"]) as with_old, client(closed.url, new["key"]) as with_new:
        await until_known(with_old)
        await until_known(with_new)
        assert (await with_old.get("/popularity/top")).status_code == 200
        assert (await with_new.get("/popularity/top")).status_code == 200
        await footfall_says(closed, "keys", "revoke", old["key_id"])

        async def refused() -> None:
            answer = await with_old.get("/popularity/top")
            assert answer.status_code == 401
            assert "revoked" in answer.json()["detail"]

        await eventually(refused)
        assert (await with_new.get("/popularity/top")).status_code == 200


async def test_an_expired_key_is_refused(closed: Stack) -> None:
    key = await made_key(closed, "read", more=("--expires-in=4s",))
    async with client(closed.url, key["key"]) as http:
        await until_known(http)

        async def refused() -> None:
            answer = await http.get("/popularity/top")
            assert answer.status_code == 401
            assert "expired" in answer.json()["detail"]

        await eventually(refused)


async def test_a_key_is_shown_once_and_kept_nowhere(closed: Stack) -> None:
    made = await made_key(closed, "read")
    listed = await footfall_says(closed, "keys", "list", "--json")
    assert made["key_id"] in listed
    assert made["key"] not in listed
    assert made["key"].rpartition("_")[2] not in listed
    connection = await asyncpg.connect(closed.database_url)
    rows = await connection.fetch("SELECT * FROM api_key")
    await connection.close()
    assert made["key"].rpartition("_")[2] not in repr(rows)


async def test_the_last_use_of_a_key_is_kept(closed: Stack) -> None:
    made = await made_key(closed, "read")

    async def listed() -> None:
        (one,) = (
            key
            for key in json.loads((await footfall(closed, "keys", "list", "--json")).out)
            if key["key_id"] == made["key_id"]
        )
        assert one["last_used_at"] is not None

    async with client(closed.url, made["key"]) as http:
        await until_known(http)
    await eventually(listed)


async def test_keys_that_can_not_be_made(closed: Stack) -> None:
    for arguments, said in (
        (["x", "--scope=admin"], "admin: a scope is one of ingest, read, operate"),
        (["", "--scope=read"], "1 to 100 characters"),
    ):
        done = await footfall(closed, "keys", "create", *arguments)
        assert (done.code, said in done.err) == (1, True), done.err
    done = await footfall(closed, "keys", "revoke", "nothing")
    assert (done.code, "there is no key" in done.err) == (1, True)


async def test_bound_elsewhere_without_a_key_it_refuses_to_start(closed: Stack, empty_database: str) -> None:
    await migrate_postgres(empty_database)
    environment = {**closed.environment, "FOOTFALL_POSTGRES_URL": empty_database, "FOOTFALL_HOST": "0.0.0.0"}
    done = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "api"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "footfall keys create" in done.stderr
    assert "Traceback" not in done.stderr


async def test_bound_elsewhere_with_a_key_it_asks_for_it(closed: Stack) -> None:
    with running_api(closed, FOOTFALL_HOST="0.0.0.0") as api:
        async with client(api.url) as http:
            assert (await http.get("/popularity/top")).status_code == 401


async def test_without_any_key_this_machine_is_let_in_until_there_is_one(closed: Stack, empty_database: str) -> None:
    await migrate_postgres(empty_database)
    stack = Stack(empty_database, closed.temporal_address, closed.logs, port=free_port("127.0.0.1", 0))
    stack.start("api")
    try:
        async with client(stack.url) as http:
            assert (await http.get("/popularity/top")).status_code == 200
            assert (await http.get("/popularity/top", headers=bearer("whatever"))).status_code == 200
            for host in ("evil.example:8000", "127.evil.example", "localhost.evil.example", "10.0.0.1", ""):
                lured = await http.get("/popularity/top", headers={"Host": host})
                assert lured.status_code == 403, host
            for host in ("localhost", "127.0.0.2:1", "[::1]:8000", "LOCALHOST:8000"):
                assert (await http.get("/popularity/top", headers={"Host": host})).status_code == 200, host
            key = await made_key(stack, "read")

            async def closed_now() -> None:
                assert (await http.get("/popularity/top")).status_code == 401

            await eventually(closed_now)
            await footfall_says(stack, "keys", "revoke", key["key_id"])

            async def refused() -> None:
                assert (await http.get("/popularity/top", headers=bearer(key["key"]))).status_code == 401

            await eventually(refused)
            assert (await http.get("/popularity/top")).status_code == 401
    finally:
        stack.stop()


async def test_what_is_wrong_with_a_store_operators_alone_are_told(closed: Stack, keys: dict[str, str]) -> None:
    with running_api(closed) as api:
        nowhere = {**api.settings, "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port('127.0.0.1', 0)}"}
    stack = Stack(closed.database_url, nowhere["TEMPORAL_ADDRESS"], closed.logs)
    stack.start_unready("api")
    try:
        async with client(stack.url) as http:

            async def up() -> None:
                try:
                    told = await http.get("/health/ready", headers=bearer(keys["operate"]))
                except httpx.TransportError as error:
                    raise AssertionError from error
                assert told.json()["dependencies"]["postgres"]["ok"]
                assert told.json()["dependencies"]["temporal"]["error"]

            await eventually(up)
            answer = (await http.get("/health/ready")).json()
            assert answer["dependencies"]["temporal"] == {
                "ok": False,
                "latency_ms": answer["dependencies"]["temporal"]["latency_ms"],
            }
    finally:
        stack.stop()


async def test_each_key_has_its_own_limit(closed: Stack, keys: dict[str, str]) -> None:
    with running_api(closed, FOOTFALL_RATE_LIMIT_CALLER="2/hour") as api:
        async with client(api.url) as http:
            for secret, statuses in ((keys["read"], (200, 200, 429)), (keys["operate"], (403, 403, 429))):
                asked = [await http.get("/popularity/top", headers=bearer(secret)) for _ in range(3)]
                assert tuple(one.status_code for one in asked) == statuses


async def test_commands_send_the_key_of_the_settings(closed: Stack, keys: dict[str, str]) -> None:
    demo = ("demo", "--url", closed.url, "--events", "20", "--rate", "1000", "--seed", "1")
    without = await footfall(closed, *demo)
    assert (without.code, "FOOTFALL_API_KEY" in without.err) == (1, True), without.err
    allowed = await made_key(closed, *SCOPES)
    with_key = replace(closed, settings={**closed.settings, "FOOTFALL_API_KEY": allowed["key"]})
    async with client(closed.url, allowed["key"]) as http:
        await until_known(http)
    await footfall_says(with_key, *demo)


async def test_the_recommender_elsewhere_needs_a_secret(closed: Stack) -> None:
    elsewhere = replace(closed, settings={**closed.settings, "FOOTFALL_RECOMMENDER_HOST": "0.0.0.0"})
    done = await footfall(elsewhere, "recommender")
    assert done.code == 1
    assert "FOOTFALL_RECOMMENDER_SECRET" in done.err


async def test_the_recommender_answers_who_knows_its_secret(closed: Stack) -> None:
    port = free_port("127.0.0.1", 0)
    settings = {"FOOTFALL_RECOMMENDER_PORT": str(port), "FOOTFALL_RECOMMENDER_SECRET": "known"}
    stack = replace(closed, settings={**closed.settings, **settings}, processes={})
    stack.start_unready("recommender")
    try:
        async with client(f"http://127.0.0.1:{port}") as http:

            async def up() -> None:
                try:
                    assert (await http.get("/health/live")).status_code == 200
                except httpx.TransportError as error:
                    raise AssertionError from error

            await eventually(up, within_s=60)
            for headers in ({}, {"X-Footfall-Secret": "unknown"}):
                assert (await http.post("/recommend", content=b"", headers=headers)).status_code == 401
            known = {"X-Footfall-Secret": "known"}
            assert (await http.get("/metrics")).status_code == 200
            assert (await http.post("/recommend", content=b"", headers=known)).status_code == 400
    finally:
        stack.stop()
