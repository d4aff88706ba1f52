"""Accounts' tokens, with a real API and an issuer that it asks over HTTP."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.warnings import InsecureKeyLengthWarning

from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.e2e.securing import (
    AUDIENCE,
    ISSUER,
    Issuer,
    bearer,
    claims_of,
    client,
    made_key,
    running_api,
    running_issuer,
)
from tests.factories import body
from tests.stack import Stack


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        running.add_rsa("rsa")
        running.add_ec("ec")
        yield running


@pytest.fixture(scope="module")
async def api(
    issuer: Issuer, postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path
) -> AsyncIterator[Stack]:
    """A stack with a worker, as what an account wrote is read again."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        taking = {
            "FOOTFALL_JWKS_URL": issuer.url,
            "FOOTFALL_JWT_ISSUER": ISSUER,
            "FOOTFALL_JWT_AUDIENCE": AUDIENCE,
            "FOOTFALL_JWT_LEEWAY_S": "1",
            "TEMPORAL_NAMESPACE": await new_namespace(temporal.address),
        }
        stack = Stack(url, temporal.address, servers_dir / "logs", taking)
        stack.start()
        yield stack
        stack.stop()


@pytest.fixture
async def http(api: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with client(api.url) as http:
        yield http


def without_account(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in body(**fields).items() if key != "account_id"}


@pytest.mark.parametrize("key_id", ["rsa", "ec"])
async def test_what_an_account_sends_is_its_own(http: httpx.AsyncClient, issuer: Issuer, key_id: str) -> None:
    account = f"own-{uuid4()}"
    headers = bearer(issuer.token(account, key_id))
    several = {"interactions": [without_account(), body(account_id=account)]}
    assert (await http.post("/interaction", json=without_account(), headers=headers)).status_code == 202
    assert (await http.post("/interaction", json=several, headers=headers)).status_code == 202
    liked = {"item_id": "cup", "kind": "like"}
    assert (await http.post("/feedback", json=liked, headers=headers)).status_code == 202

    async def all_there() -> None:
        items = (await http.get(f"/interactions/{account}", headers=headers)).json()["items"]
        assert [one["account_id"] for one in items] == [account] * 4

    await eventually(all_there)


async def test_so_is_what_it_sends_as_lines(http: httpx.AsyncClient, issuer: Issuer) -> None:
    account = f"own-{uuid4()}"
    headers = bearer(issuer.token(account, "rsa")) | {"content-type": "application/x-ndjson"}
    own = [without_account(), body(account_id=account)]
    content = b"\n\n".join(json.dumps(one).encode() for one in [*own, body(account_id="somebody else")])
    refused = await http.post("/interaction", content=content, headers=headers)
    assert refused.status_code == 403
    (error,) = refused.json()["errors"]
    assert (error["line"], error["index"], error["pointer"]) == (5, 2, "#/account_id")
    content = b"\n".join(json.dumps(one).encode() for one in own)
    assert (await http.post("/interaction", content=content, headers=headers)).json()["accepted"] == 2

    async def recorded() -> None:
        assert len((await http.get(f"/interactions/{account}", headers=headers)).json()["items"]) == 2

    await eventually(recorded)


@pytest.mark.parametrize("path", ["/interaction", "/api/v1/analytic/interaction"])
async def test_it_writes_for_no_other(http: httpx.AsyncClient, issuer: Issuer, path: str) -> None:
    headers = bearer(issuer.token("alice", "rsa"))
    alone = await http.post(path, json=body(account_id="bob"), headers=headers)
    assert alone.status_code == 403
    assert [one["pointer"] for one in alone.json()["errors"]] == ["#/account_id"]
    several = {"interactions": [body(), body(account_id="bob")]}
    for query in ({}, {"partial": "true"}):
        second = await http.post(path, json=several, headers=headers, params=query)
        assert second.status_code == 403
        assert [one["pointer"] for one in second.json()["errors"]] == ["#/interactions/1/account_id"]


async def test_it_gives_feedback_for_no_other(http: httpx.AsyncClient, issuer: Issuer) -> None:
    headers = bearer(issuer.token("alice", "rsa"))
    feedback = {"feedback": [{"account_id": "bob", "item_id": "cup", "kind": "like"}]}
    answer = await http.post("/feedback", json=feedback, headers=headers)
    assert answer.status_code == 403
    assert [one["pointer"] for one in answer.json()["errors"]] == ["#/feedback/0/account_id"]


async def test_it_reads_its_own_and_what_is_everybodys(http: httpx.AsyncClient, issuer: Issuer) -> None:
    headers = bearer(issuer.token("a/b ü", "ec"))
    for prefix in ("", "/api/v1/analytic"):
        for path in ("/interactions/a%2Fb%20%C3%BC", "/recommendations/a%2Fb%20%C3%BC", "/popularity/top", "/items"):
            assert (await http.get(prefix + path, headers=headers)).status_code == 200, path
        for path in ("/interactions/bob", "/recommendations/bob", "/users/bob", "/interactions/a%2Fb%20%C3%BC%20"):
            answer = await http.get(prefix + path, headers=headers)
            assert answer.status_code == 403, path
        for path in ("/metrics", "/experiments", f"/batches/{uuid4()}", f"/interaction/{uuid4()}"):
            assert (await http.get(prefix + path, headers=headers)).status_code == 403, path
        assert (await http.put(prefix + "/items", json={"item_id": "i"}, headers=headers)).status_code == 403


def unsigned(account: str) -> str:
    return jwt.encode(claims_of(account), None, "none", headers={"kid": "rsa"})  # type: ignore[arg-type]


def confused(account: str, issuer: Issuer) -> str:
    """HS256 with the public key as the secret, which the library itself would not sign."""
    secret = issuer.keys["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=")
        for one in ({"alg": "HS256", "kid": "rsa", "typ": "JWT"}, claims_of(account))
    ]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_tokens_that_are_none(http: httpx.AsyncClient, issuer: Issuer) -> None:
    stranger = Issuer()
    stranger.add_rsa("rsa")
    good = issuer.token("alice", "rsa")
    head, _, signature = good.split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims_of("bob")).encode()).rstrip(b"=").decode()
    now = int(time.time())
    for name, token in {
        "none": unsigned("alice"),
        "none without a key id": jwt.encode(claims_of("alice"), None, "none"),  # type: ignore[arg-type]
        "confused": confused("alice", issuer),
        "another's key": stranger.token("alice", "rsa"),
        "an unknown key": jwt.encode(claims_of("alice"), issuer.keys["rsa"], "RS256", headers={"kid": "new"}),
        "rsa by the elliptic key's id": jwt.encode(
            claims_of("a"), issuer.keys["rsa"], "RS256", headers={"kid": "ec"}
        ),
        "RS512": jwt.encode(claims_of("alice"), issuer.keys["rsa"], "RS512", headers={"kid": "rsa"}),
        "other claims": f"{head}.{forged}.{signature}",
        "cut off": good[:-4],
        "no token": "a.b.c",
        "expired": issuer.token("alice", "rsa", exp=now - 60),
        "not yet": issuer.token("alice", "rsa", nbf=now + 600),
        "another issuer": issuer.token("alice", "rsa", iss="https://evil.example"),
        "no issuer": issuer.token("alice", "rsa", iss=None),
        "another audience": issuer.token("alice", "rsa", aud="another"),
        "no audience": issuer.token("alice", "rsa", aud=None),
        "no end": issuer.token("alice", "rsa", exp=None),
        "no account": issuer.token("alice", "rsa", sub=None),
        "an empty account": issuer.token("", "rsa"),
        "a long account": issuer.token("a" * 129, "rsa"),
        "NUL": issuer.token("a\0b", "rsa"),
        "too long": issuer.token("alice", "rsa", more="x" * 9_000),
    }.items():
        answer = await http.get("/interactions/alice", headers=bearer(token))
        assert answer.status_code == 401, (name, answer.text)
        assert "invalid_token" in answer.headers["www-authenticate"], name
        assert token not in answer.text
    assert (await http.get("/interactions/alice", headers=bearer(good))).status_code == 200


async def test_a_token_ends(http: httpx.AsyncClient, issuer: Issuer) -> None:
    token = issuer.token("alice", "rsa", exp=int(time.time()) + 2)
    assert (await http.get("/interactions/alice", headers=bearer(token))).status_code == 200

    async def ended() -> None:
        assert (await http.get("/interactions/alice", headers=bearer(token))).status_code == 401

    await eventually(ended)


async def test_keys_come_and_go(api: Stack) -> None:
    with running_issuer() as other:
        other.add_rsa("old")
        with running_api(api, FOOTFALL_JWKS_URL=other.url, FOOTFALL_JWKS_REFRESH_S="0.5") as rotated:
            async with client(rotated.url) as http:
                old = bearer(other.token("alice", "old"))

                async def answers(headers: dict[str, str], status: int) -> None:
                    async def asked() -> None:
                        assert (await http.get("/interactions/alice", headers=headers)).status_code == status

                    await eventually(asked)

                await answers(old, 200)
                other.add_ec("new")
                await answers(bearer(other.token("alice", "new")), 200)
                await answers(old, 200)
                other.is_down = True
                seen = other.asked

                async def asked_again() -> None:
                    assert other.asked > seen

                await eventually(asked_again)
                await answers(bearer(other.token("carol", "old")), 403)
                other.is_down = False
                del other.keys["old"]
                await answers(old, 401)  # although it was verified before


async def test_an_unknown_key_id_is_looked_for_at_once(api: Stack) -> None:
    with running_issuer() as other:
        other.add_rsa("first")
        with running_api(api, FOOTFALL_JWKS_URL=other.url, FOOTFALL_JWKS_REFRESH_S="3600") as slow:
            async with client(slow.url) as http:
                other.add_rsa("second")

                async def taken() -> None:
                    answer = await http.get("/interactions/alice", headers=bearer(other.token("alice", "second")))
                    assert answer.status_code == 200

                await eventually(taken)


async def test_keys_from_a_file(api: Stack, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    weak = Issuer()
    weak.add_rsa("weak", bits=1024)
    sets = [json.loads(one.jwks())["keys"] for one in (issuer, weak)]
    file.write_text(json.dumps({"keys": [*sets[0], *sets[1], {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}]}))
    with running_api(api, FOOTFALL_JWKS_URL="", FOOTFALL_JWKS_FILE=str(file)) as other:
        async with client(other.url) as http:
            good = bearer(issuer.token("alice", "rsa"))
            assert (await http.get("/interactions/alice", headers=good)).status_code == 200
            with pytest.warns(InsecureKeyLengthWarning):
                short = bearer(weak.token("alice", "weak"))
            assert (await http.get("/interactions/alice", headers=short)).status_code == 401
            symmetric = jwt.encode(claims_of("alice"), "secret" * 10, "HS256", headers={"kid": "shared"})
            assert (await http.get("/interactions/alice", headers=bearer(symmetric))).status_code == 401


async def test_keys_are_taken_beside_tokens(http: httpx.AsyncClient, issuer: Issuer, api: Stack) -> None:
    token = bearer(issuer.token("alice", "ec"))
    assert (await http.get("/popularity/top")).status_code == 401
    key = bearer((await made_key(api, "read"))["key"])

    async def known() -> None:
        assert (await http.get("/interactions/bob", headers=key)).status_code == 200

    await eventually(known)
    assert (await http.get("/interactions/alice", headers=token)).status_code == 200
    assert (await http.get("/interactions/bob", headers=token)).status_code == 403
    assert (await http.get("/interactions/alice/export", headers=token)).status_code not in (401, 403)
    assert (await http.delete("/interactions/alice", headers=token)).status_code == 403
