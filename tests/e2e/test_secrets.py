"""Processes with secrets in their settings, and errors of all kinds: no log and no answer has one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from runtime.ports import free_port
from tests.conftest import eventually
from tests.e2e.securing import Issuer, bearer, client
from tests.stack import Stack

HIDDEN = f"hidden{uuid4().hex}"


def nobody() -> int:
    return free_port("127.0.0.1", 0)


def settings_with_secrets() -> dict[str, str]:
    """Passwords everywhere, and nobody at any of the addresses."""
    return {
        "FOOTFALL_POSTGRES_URL": f"postgresql://me:{HIDDEN}@127.0.0.1:{nobody()}/footfall",
        "FOOTFALL_REDIS_URL": f"redis://me:{HIDDEN}@127.0.0.1:{nobody()}/0",
        "FOOTFALL_RECOMMENDER_URL": f"http://me:{HIDDEN}@127.0.0.1:{nobody()}",
        "FOOTFALL_RECOMMENDER_SECRET": HIDDEN,
        "FOOTFALL_JWKS_URL": f"http://me:{HIDDEN}@127.0.0.1:{nobody()}/keys",
        "FOOTFALL_JWT_ISSUER": "i",
        "FOOTFALL_JWT_AUDIENCE": "a",
        "FOOTFALL_API_KEY": HIDDEN,
        "TEMPORAL_ADDRESS": f"127.0.0.1:{nobody()}",
        "FOOTFALL_LOG_LEVEL": "debug",
    }


@pytest.mark.parametrize("process", ["api", "worker", "recommender"])
async def test_processes_whose_servers_are_gone_name_no_password(stack: Stack, tmp_path: Path, process: str) -> None:
    settings = settings_with_secrets()
    if process == "recommender":
        settings["FOOTFALL_RECOMMENDER_PORT"] = str(nobody())
    lone = Stack("", "", tmp_path, settings)
    lone.start_unready(process)
    log = tmp_path / f"{process}.log"
    stranger = Issuer()
    stranger.add_rsa("unknown")
    token = stranger.token("alice", "unknown")
    try:
        if process == "api":
            await _provoke(lone.url, token)
        else:

            async def complained() -> None:
                assert "WARNING" in log.read_text() or "ERROR" in log.read_text()

            await eventually(complained)
    finally:
        lone.stop()
    text = log.read_text()
    assert text
    for secret in (HIDDEN, token, token.split(".")[2]):
        assert secret not in text


async def _provoke(url: str, token: str) -> None:
    async with client(url) as http:

        async def up() -> None:
            try:
                assert (await http.get("/health/live")).status_code == 200
            except httpx.TransportError as error:
                raise AssertionError from error

        await eventually(up)
        for headers in ({}, bearer(token), bearer(f"ff_abcdefghij_{HIDDEN}"), {"X-API-Key": HIDDEN}):
            for path in ("/popularity/top", "/recommendations/alice", "/health/ready", f"/nothing?key={HIDDEN}"):
                answer = await http.get(path, headers=headers)
                assert answer.status_code in (401, 404, 503), (path, answer.text)
                assert HIDDEN not in answer.text
                assert token not in answer.text


BROKEN: list[Callable[[], dict[str, str]]] = [
    lambda: {"FOOTFALL_POSTGRES_URL": f"http://me:{HIDDEN}@127.0.0.1/x"},
    lambda: {"FOOTFALL_REDIS_URL": f"nothing://me:{HIDDEN}@127.0.0.1/x"},
    lambda: {"FOOTFALL_RECOMMENDER_URL": f"me:{HIDDEN}@127.0.0.1"},
    lambda: {"FOOTFALL_JWKS_URL": f"http://me:{HIDDEN}@keys.example/x"},
    lambda: {"FOOTFALL_JWKS_URL": f"https://me:{HIDDEN}@keys.example/x", "FOOTFALL_JWT_ISSUER": ""},
    lambda: {"FOOTFALL_RATE_LIMIT_CALLER": HIDDEN},
]


@pytest.mark.parametrize("wrong", BROKEN)
async def test_settings_that_are_wrong_are_named_without_what_they_say(
    stack: Stack, tmp_path: Path, wrong: Callable[[], dict[str, str]]
) -> None:
    lone = Stack("", "", tmp_path, {**settings_with_secrets(), **wrong()})
    for command in (["api"], ["keys", "list"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime.cli", *command],
            env=lone.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said = process.communicate(timeout=4)[0].decode()
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[0].decode()
        assert HIDDEN not in said, command
