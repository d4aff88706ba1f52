"""The TypeScript client in a real Chromium, on a page of another origin than the API: nothing lost, nothing twice."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.clients.conftest import Target
from tests.clients.npm import BUILT, built_client
from tests.clients.recorded import distinct, history, until_recorded_once
from tests.conftest import eventually
from tests.e2e.securing import AUDIENCE, ISSUER, client, running_api, running_issuer
from tests.needed import give_up
from tests.stack import Stack

Said = dict[str, Any]

_END_S = 15.0


@pytest.fixture(scope="module", autouse=True)
def chromium() -> str:
    built_client()
    found = shutil.which("chromium")
    if found is None:
        give_up("no Chromium: chromium is not on the PATH", "FOOTFALL_TESTS_NEED_CHROMIUM")
    return found


class Browser:
    """A scenario of test/browser, and what it asks for."""

    def __init__(self, process: asyncio.subprocess.Process, target: Target, interaction: Said) -> None:
        self._process = process
        self._target = target
        self._interaction = interaction

    async def play(self, setting: Said) -> list[str]:
        """The ids of what was recorded."""
        self._say(json.dumps(setting))
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "ids" in said:
                ids: list[str] = said["ids"]
                assert await self._process.wait() == 0
                return ids
            await self._do(said)
            self._say("done")
        raise AssertionError(f"the scenario ended with {await self._process.wait()}")

    async def _do(self, said: Said) -> None:
        match said["ask"]:
            case "kill":
                self._target.stack.kill("api")
            case "start":
                await asyncio.to_thread(self._target.stack.start, "api")
            case "until arrived":
                await self._until_arrived(said["count"])
            case wish:
                raise AssertionError(wish)

    async def _until_arrived(self, count: int) -> None:
        async with client(self._target.stack.url, self._target.key) as http:

            async def arrived() -> None:
                assert len(await history(http, self._interaction["account_id"])) == count

            await eventually(arrived)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def browser(target: Target, interaction: Said) -> AsyncIterator[Browser]:
    process = await asyncio.create_subprocess_exec(
        "node", BUILT / "test" / "browser" / "run.js", stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**24
    )
    try:
        yield Browser(process, target, interaction)
    finally:
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()  # it ends its browser then, and itself
            try:
                await asyncio.wait_for(process.wait(), _END_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def play(scenario: str, chromium: str, target: Target, interaction: Said, credentials: Said) -> list[str]:
    """The ids of what was recorded."""
    setting = {
        "scenario": scenario,
        "chromium": chromium,
        "pagePort": target.page_port,
        "options": {"url": target.stack.url, **credentials},
        "interaction": interaction,
    }
    async with browser(target, interaction) as playing:
        return await playing.play(setting)


@pytest.mark.parametrize(
    "scenario",
    [
        "leave",
        "leaveWithMuch",
        "close",
        "serverDown",
        "offline",
        "tabs",
        "bounded",
        "storageFull",
        "storageCleared",
        "noStorage",
    ],
)
async def test_with_a_key(scenario: str, chromium: str, closed: Target) -> None:
    interaction = distinct(1)[0]
    ids = await play(scenario, chromium, closed, interaction, {"apiKey": closed.key})
    await until_recorded_once(closed, [interaction] * len(ids), ids)


async def test_with_an_accounts_token(chromium: str, closed: Target) -> None:
    interaction = distinct(1)[0]
    account = interaction["account_id"]
    with running_issuer() as issuer:
        issuer.add_ec("key")
        taking = {"FOOTFALL_JWKS_URL": issuer.url, "FOOTFALL_JWT_ISSUER": ISSUER, "FOOTFALL_JWT_AUDIENCE": AUDIENCE}
        with running_api(closed.stack, **taking) as api:
            asking = Target(api, closed.key, closed.page_port)
            ids = await play("leave", chromium, asking, interaction, {"token": issuer.token(account, "key")})
    await until_recorded_once(closed, [interaction] * len(ids), ids)


async def test_a_beacon_where_there_is_nothing_better(chromium: str, stack: Stack, closed: Target) -> None:
    interaction = distinct(1)[0]
    target = Target(stack, None, closed.page_port)
    ids = await play("beacon", chromium, target, interaction, {})
    await until_recorded_once(target, [interaction] * len(ids), ids)
