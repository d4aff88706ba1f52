"""An operator's day on two Footfalls under load: nothing fails but what is meant to, nothing is lost."""

import asyncio
from collections import Counter
from uuid import uuid4

import httpx

from runtime.settings import Settings
from tests.conftest import eventually
from tests.e2e.securing import bearer, made_key
from tests.factories import body
from tests.faults.check import drained, judge
from tests.faults.load import Load
from tests.scale.rolling import Pair, roll
from tests.stack import footfall_says

_AT_ONCE = 40
_BURST = 400


async def test_keys_are_rotated_all_is_replaced_much_is_refused_and_an_account_erased(pair: Pair) -> None:
    stack, url = pair.stacks[0], pair.stacks[0].database_url
    prefix, account, product = f"day-{uuid4().hex[:8]}-", f"leaver-{uuid4()}", f"left-{uuid4()}"
    operating = bearer((await made_key(stack, "operate", "read", "ingest"))["key"])
    load = Load([pair.front], prefix, seed=4, clients=20, requests_a_second=100)
    load.headers = bearer(await _rotated(pair, load, operating))
    for one in pair.stacks:
        one.settings["FOOTFALL_REQUESTS_AT_ONCE"] = str(_AT_ONCE)
    async with httpx.AsyncClient(base_url=pair.front, timeout=60, headers=operating) as http:
        assert (await http.post("/interaction", json=body(account_id=account, ref_id=product))).status_code == 202
        loading = asyncio.create_task(load.run(600.0))
        first = load.headers
        load.headers = bearer(await _rotated(pair, load, operating))
        await roll(pair.stacks)
        assert set(load.sent.answers) == {"202"}, load.sent.failures
        await _revoked(pair, first)
        burst = await _burst(pair.front, load.headers)
        assert set(burst) <= {202, 503}, burst
        assert burst[503] > 0
        asked = await http.delete(f"/interactions/{account}", params={"subtract": "true"})
        assert asked.status_code == 202
        await eventually(lambda: _gone(http, account, product))
        load.stop()
        await loading
    sent = load.sent
    assert set(sent.answers) <= {"202", "503"}, sent.failures
    assert len(sent.acknowledged) > 500
    await drained(url)
    verdict = await judge(Settings.model_validate({"postgres_url": url}), prefix, sent, sent.acknowledged)
    assert verdict.faults == []


async def _rotated(pair: Pair, load: Load, operating: dict[str, str]) -> str:
    """A new key that every API knows; the one before holds until it is revoked."""
    made = await made_key(pair.stacks[0], "ingest", "read")
    for stack in pair.stacks:
        async with httpx.AsyncClient(base_url=stack.url, headers=bearer(made["key"])) as http:

            async def known(http: httpx.AsyncClient = http) -> None:
                assert (await http.get("/popularity/top")).status_code == 200

            await eventually(known)
    return str(made["key"])


async def _revoked(pair: Pair, headers: dict[str, str]) -> None:
    key_id = headers["Authorization"].split("_")[1]
    await footfall_says(pair.stacks[0], "keys", "revoke", key_id)
    async with httpx.AsyncClient(base_url=pair.front, headers=headers) as http:

        async def refused() -> None:
            assert (await http.get("/popularity/top")).status_code == 401

        await eventually(refused)


async def _burst(front: str, headers: dict[str, str]) -> Counter[int]:
    """What so many requests at the same moment are answered."""
    limits = httpx.Limits(max_connections=_BURST)
    async with httpx.AsyncClient(base_url=front, timeout=60, headers=headers, limits=limits) as http:
        sent = [body(account_id=f"burst-{number}", ref_id="burst") for number in range(_BURST)]
        answers = await asyncio.gather(*(http.post("/interaction", json=one) for one in sent))
    return Counter(one.status_code for one in answers)


async def _gone(http: httpx.AsyncClient, account: str, product: str) -> None:
    assert (await http.get(f"/interactions/{account}")).json()["items"] == []
    assert (await http.get(f"/popularity/{product}")).status_code == 404
