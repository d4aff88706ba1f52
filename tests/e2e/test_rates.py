"""Rate limits and CORS, with real processes."""

from uuid import uuid4

import httpx
import pytest

from tests.conftest import eventually
from tests.e2e.securing import bearer, client, running_api
from tests.factories import body
from tests.stack import Stack, footfall

ORIGIN = "https://shop.example"


def _refused(answer: httpx.Response, kind: str, limit: int) -> None:
    assert answer.status_code == 429, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["ratelimit-policy"] == f'"{kind}";q={limit};w=3600'
    assert answer.headers["ratelimit"].startswith(f'"{kind}";r=0;t=')


async def test_one_address_has_its_limit_and_another_its_own(stack: Stack) -> None:
    limits = {"FOOTFALL_RATE_LIMIT_ADDRESS": "5/hour", "FOOTFALL_TRUSTED_PROXIES": "127.0.0.0/8"}
    with running_api(stack, **limits) as api:
        async with client(api.url) as http:

            async def ask(address: str) -> httpx.Response:
                return await http.get("/popularity/top", headers={"X-Forwarded-For": address})

            for _ in range(5):
                assert (await ask("203.0.113.9")).status_code == 200
            _refused(await ask("203.0.113.9"), "address", 5)
            assert (await ask("203.0.113.10")).status_code == 200
            for number in range(5):  # one network, whatever of its addresses asks
                assert (await ask(f"2001:db8:0:1::{number}")).status_code == 200
            _refused(await ask("2001:db8:0:1:ffff::1"), "address", 5)
            assert (await ask("2001:db8:0:2::1")).status_code == 200
            for path in ("/health/live", "/health/ready"):
                assert (await http.get(path, headers={"X-Forwarded-For": "203.0.113.9"})).status_code == 200


async def test_what_is_refused_counts_for_its_address_too(stack: Stack) -> None:
    with running_api(stack, FOOTFALL_RATE_LIMIT_ADDRESS="3/hour") as api:
        async with client(api.url) as http:
            for _ in range(3):
                assert (await http.get("/nothing")).status_code == 404
            _refused(await http.get("/nothing"), "address", 3)


async def test_an_interaction_counts_as_one_however_many_come_at_once(stack: Stack) -> None:
    account = f"rated-{uuid4()}"
    with running_api(stack, FOOTFALL_RATE_LIMIT_CALLER="50/hour") as api:
        async with client(api.url) as http:
            forty = {"interactions": [body(account_id=account) for _ in range(40)]}
            assert (await http.post("/interaction", json=forty)).status_code == 202
            refused = await http.post("/interaction", json=forty)
            assert refused.status_code == 429
            assert refused.headers["ratelimit"].startswith('"caller";r=9;t=')  # it took one, to be asked at all
            metrics = (await http.get("/metrics")).text
            assert 'footfall_requests_refused_total{reason="caller_rate",status="429"} 1.0' in metrics


async def test_a_batch_over_the_whole_limit_passes_by_itself(stack: Stack) -> None:
    with running_api(stack, FOOTFALL_RATE_LIMIT_CALLER="5/second") as api:
        async with client(api.url) as http:

            async def accepted() -> None:
                forty = {"interactions": [body() for _ in range(40)]}
                assert (await http.post("/interaction", json=forty)).status_code == 202

            await eventually(accepted)


@pytest.mark.parametrize("path", ["/interaction", "/feedback"])
async def test_pages_of_named_origins_alone_may_ask(stack: Stack, path: str) -> None:
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with running_api(stack, FOOTFALL_CORS_ORIGINS=f"{ORIGIN}, http://localhost:3000") as api:
        async with client(api.url) as http:
            asked = await http.options(path, headers={"Origin": ORIGIN, **wish})
            assert asked.status_code == 200
            assert asked.headers["access-control-allow-origin"] == ORIGIN
            assert "access-control-allow-credentials" not in asked.headers
            other = await http.options(path, headers={"Origin": "https://evil.example", **wish})
            assert "access-control-allow-origin" not in other.headers
            answer = await http.get("/popularity/top", headers={"Origin": ORIGIN})
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            refused = await http.get("/nothing", headers={"Origin": ORIGIN})
            assert refused.headers["access-control-allow-origin"] == ORIGIN


async def test_without_the_setting_no_page_may_ask(stack: Stack) -> None:
    async with client(stack.url) as http:
        wish = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        assert (await http.options("/interaction", headers=wish)).status_code == 405
        answer = await http.get("/popularity/top", headers={"Origin": ORIGIN})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origins", ["*", "shop.example", "https://shop.example/path", "null"])
async def test_what_is_no_origin_is_told_so(stack: Stack, origins: str) -> None:
    other = Stack(stack.database_url, stack.temporal_address, stack.logs, {"FOOTFALL_CORS_ORIGINS": origins})
    done = await footfall(other, "api")
    assert done.code == 2
    assert "FOOTFALL_CORS_ORIGINS" in done.err


async def test_keys_are_limited_each_by_itself(stack: Stack) -> None:
    """Asked as nobody in particular, all share one limit; see test_keys for what keys are."""
    with running_api(stack, FOOTFALL_RATE_LIMIT_CALLER="2/hour") as api:
        async with client(api.url) as http:
            for headers in ({}, bearer("anything")):
                assert (await http.get("/popularity/top", headers=headers)).status_code == 200
            _refused(await http.get("/popularity/top"), "caller", 2)
