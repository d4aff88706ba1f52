"""What the tests of who may ask share: APIs with keys of their own, and an issuer of tokens."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from runtime.ports import free_port
from tests.stack import Stack, footfall

ISSUER, AUDIENCE = "https://login.shop.example", "footfall"


@contextmanager
def running_api(stack: Stack, **settings: str) -> Iterator[Stack]:
    """An API of its own on the stack's database, with other settings."""
    other = replace(stack, port=free_port("127.0.0.1", 0), processes={}, settings={**stack.settings, **settings})
    other.start("api")
    try:
        yield other
    finally:
        other.stop()


async def made_key(stack: Stack, *scopes: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    done = await footfall(stack, "keys", "create", "a test's", *more, *(f"--scope={one}" for one in scopes), "--json")
    assert done.code == 0, done.err
    return done.json


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@asynccontextmanager
async def client(url: str, secret: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=30, headers=bearer(secret) if secret else {}) as http:
        yield http


async def until_known(http: httpx.AsyncClient) -> None:
    """Until the API knows the client's key: it looks every other second."""
    for _ in range(300):
        if (await http.get("/popularity/top")).status_code != 401:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the key is not known")


@dataclass
class Issuer:
    """Signs tokens, and says by which keys: over HTTP."""

    keys: dict[str, Any] = field(default_factory=dict)
    """Private keys by id."""
    is_down: bool = False
    asked: int = 0
    url: str = ""

    def add_rsa(self, key_id: str, bits: int = 2048) -> None:
        self.keys[key_id] = rsa.generate_private_key(65537, bits)

    def add_ec(self, key_id: str) -> None:
        self.keys[key_id] = ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> bytes:
        return json.dumps({"keys": [_public(key_id, key) for key_id, key in self.keys.items()]}).encode()

    def token(self, account_id: str, key_id: str, **claims: Any) -> str:
        key = self.keys[key_id]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(claims_of(account_id, **claims), key, algorithm, headers={"kid": key_id})


def claims_of(account_id: str, **claims: Any) -> dict[str, Any]:
    usual = {"sub": account_id, "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600}
    return {name: value for name, value in {**usual, **claims}.items() if value is not None}


def _public(key_id: str, key: Any) -> dict[str, Any]:
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    described: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**described, "kid": key_id, "use": "sig"}


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            body = b"down" if issuer.is_down else issuer.jwks()
            self.send_response(503 if issuer.is_down else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
