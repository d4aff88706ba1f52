"""What it costs a request to be asked who it is from, and to be held to its bounds: processor time in one process.

`python -m bench.asking [--quick] [--out FOLDER]`. Each figure is of the one part alone, around an application that
answers nothing: what a request costs in all is in docs/performance/costs.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, cast

import jwt
import typer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.security.access import Access
from api.security.gate import Gate, Tokens
from api.security.keyring import Keyring
from api.security.rates import Rates
from api.security.rules import TABLE, RouteRules
from api.security.tokens import JwtTokens, TokenRules
from bench.machine import describe_hardware
from bench.table import Table, write_page
from domain.access import NewKey, new_key
from domain.week import from_us
from runtime.guarded_http import GuardedHttp, RequestBounds
from store.keys import KeyRecord, KeyStore

_RULES = TokenRules("issuer", "footfall", "sub", 30.0)
_KEYS = 1_000
_REQUEST = b"POST /interaction HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n%sContent-Length: 10\r\n\r\n0123456789" % (
    b"User-Agent: a browser\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nContent-Type: application/json\r\n"
)


async def _answers(_scope: Scope, _receive: Receive, _send: Send) -> None:
    pass


class _Store:
    """A thousand keys of which one asks."""

    def __init__(self, keys: list[NewKey]) -> None:
        self._keys = keys

    async def all(self) -> list[KeyRecord]:
        at = from_us(0)
        return [KeyRecord(one.key_id, "bench", one.digest, ("ingest",), at, None, None, None) for one in self._keys]


class _OneKey:
    version = 1

    def __init__(self, key: PyJWK) -> None:
        self._key = key

    async def find(self, _key_id: str | None) -> PyJWK | None:
        return self._key


class _Transport(asyncio.Transport):
    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, _name: str, default: object = None) -> object:
        return default


async def _gate(keys: list[NewKey], tokens: Tokens | None, rates: Rates | None) -> Gate:
    keyring = Keyring(cast("KeyStore", _Store(keys)))
    await keyring.refresh()
    return Gate(keyring, tokens, rates, on_loopback=True)


def _signed(algorithm: str) -> tuple[JwtTokens, str]:
    key = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
    described = (RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm).to_jwk(
        cast("Any", key.public_key()), as_dict=True
    )
    claims = {"sub": "alice", "iss": _RULES.issuer, "aud": _RULES.audience, "exp": time.time() + 3_600}
    return JwtTokens(_OneKey(PyJWK(described)), _RULES), jwt.encode(claims, key, algorithm, headers={"kid": "one"})


def _asked(gate: Gate, secret: str | None) -> Callable[[], Awaitable[object]]:
    routes = [("", SimpleNamespace(path=path, methods={method})) for method, path in TABLE]
    access = Access(_answers, rules=RouteRules(routes))
    head = [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"a browser"), (b"accept", b"*/*")]
    head += [(b"content-type", b"application/json"), (b"content-length", b"150")]
    if secret is not None:
        head.append((b"authorization", f"Bearer {secret}".encode()))
    services = SimpleNamespace(gate=gate)

    async def ask() -> None:
        scope = {
            "type": "http", "method": "POST", "path": "/interaction", "headers": head,
            "client": ("127.0.0.1", 1), "state": {"services": services},
        }  # fmt: skip
        await access(scope, cast("Receive", None), cast("Send", None))

    return ask


async def _spent_us(work: Callable[[], Awaitable[object]], times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        await work()
    return (time.process_time() - started) / times * 1e6


def _protocol(guarded: bool) -> Callable[[], Awaitable[object]]:
    kind = partial(GuardedHttp, bounds=RequestBounds(16_384, 1_048_576, 10, 60)) if guarded else HttpToolsProtocol
    config = Config(_answers, lifespan="off", log_config=None)
    config.load()
    made = kind(config, ServerState(), {})
    made._start_asgi_task = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001  (what is done with it is not ours)
    made.connection_made(_Transport())

    async def feed() -> None:
        made.data_received(_REQUEST)
        made.cycle.response_complete = True

    return feed


async def measure(rounds: int, times: int) -> dict[str, Table]:
    keys = [new_key() for _ in range(_KEYS)]
    known, limited = await _gate(keys, None, None), await _gate(keys, None, Rates("1000000/second", "1000000/second"))
    asked = {
        "nobody is asked (no key was made)": _asked(await _gate([], None, None), None),
        f"an API key, of {_KEYS:,}": _asked(known, keys[7].text),
        "an API key, with a limit an address and one a key": _asked(limited, keys[7].text),
    }
    for algorithm in ("RS256", "ES256"):
        tokens, token = _signed(algorithm)
        asked[f"a token ({algorithm}) that was seen before"] = _asked(await _gate(keys, tokens, None), token)
    access, verifying, bounds = Table(), Table(), Table()
    for _ in range(rounds):
        for name, work in asked.items():
            access.add(name, await _spent_us(work, times))
        for algorithm in ("RS256", "ES256"):
            tokens, token = _signed(algorithm)
            verifying.add(algorithm, await _spent_us(partial(tokens._verify, token.encode()), times // 20))  # noqa: SLF001
        for name, guarded in (("uvicorn's own protocol", False), ("with our bounds", True)):
            bounds.add(name, await _spent_us(_protocol(guarded), times))
    return {
        "Asked who it is from: µs a request": access,
        "A token seen for the first time: µs": verifying,
        "Read and parsed, with its answer left away: µs a request": bounds,
    }


def main(
    out: Annotated[Path | None, typer.Option(help="Folder for asking.md and asking.json.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Shortly.")] = False,
) -> None:
    tables = asyncio.run(measure(2 if quick else 7, 2_000 if quick else 20_000))
    if out is not None:
        write_page(out, "asking", "What it costs to ask who a request is from", describe_hardware(), tables)


if __name__ == "__main__":
    typer.run(main)
