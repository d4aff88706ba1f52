"""From the credentials of a request to whom it is from."""

from collections.abc import Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

from starlette.types import Scope as Asked

from api.problems import RETRY_AFTER_S, Problem
from api.security.keyring import Keyring, KnownKey
from domain.access import ANYBODY, KEY_PREFIX, Caller, is_whole_key, key_digest

if TYPE_CHECKING:
    from api.security.rates import Rates  # its library takes a third of a second to load, and most set no limit

_BEARER = b"bearer "
_KEY_PREFIX = KEY_PREFIX.encode()
_USUAL_NAMES = ("localhost", "127.0.0.1")


class Tokens(Protocol):
    """Where JWTs are taken."""

    async def caller(self, token: bytes) -> Caller:
        """Raises Problem: 401."""


class Gate:
    """Knows who may come in. `on_loopback`: this process is reached from its own machine alone."""

    def __init__(self, keys: Keyring, tokens: Tokens | None, rates: "Rates | None", *, on_loopback: bool) -> None:
        self._keys = keys
        self._tokens = tokens
        self._on_loopback = on_loopback
        self.rates = rates

    async def caller(self, asked: Asked) -> Caller:
        """Raises Problem: 401 where the request does not say who asks, or not rightly; 503 before keys are read."""
        secret = _secret(asked)
        if secret is None or self._is_open():
            return self._anybody(asked)
        if self._tokens is not None and not secret.startswith(_KEY_PREFIX):
            return await self._tokens.caller(secret)
        return self._of_key(secret)

    async def trusts(self, asked: Asked) -> bool:
        """Whether it is an operator who asks, or anybody where nobody is asked."""
        try:
            return "operate" in (await self.caller(asked)).scopes
        except Problem:
            return False

    def _is_open(self) -> bool:
        return self._on_loopback and self._tokens is None and self._keys.is_read and not self._keys.has_any

    def _anybody(self, asked: Asked) -> Caller:
        if self._is_open():
            _insist_on_loopback_name(asked)
            return ANYBODY
        self._insist_on_keys_read()
        detail = "This needs a key, as `Authorization: Bearer …` or X-API-Key."
        raise Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"}, reason="no_key")

    def _of_key(self, secret: bytes) -> Caller:
        known = self._keys.find(key_digest(secret))
        if known is not None and known.refused_as is None:
            return known.caller
        self._insist_on_keys_read()
        raise refused(*_why(secret, known))

    def _insist_on_keys_read(self) -> None:
        if not self._keys.is_read:
            detail = "The API keys could not be read yet."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def refused(detail: str, reason: str) -> Problem:
    """401 for credentials that are none."""
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers=headers, reason=reason)


def _why(secret: bytes, known: KnownKey | None) -> tuple[str, str]:
    if known is not None:
        return f"The key {known.key_id} is {known.refused_as}.", f"{known.refused_as}_key"
    if not is_whole_key(secret.decode("latin-1")):
        return "This is not a whole key: something was cut off or changed.", "unknown_key"
    return "This key is not known here.", "unknown_key"


def _secret(asked: Asked) -> bytes | None:
    """What stands in `Authorization: Bearer …`, or in X-API-Key where the other has none."""
    key = None
    for name, value in asked["headers"]:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            bearer: bytes = value[len(_BEARER) :].strip()
            return bearer
        if name == b"x-api-key":
            key = value
    return key


def _insist_on_loopback_name(asked: Asked) -> None:
    """A page that a browser was lured to may have its own name resolve to this machine (DNS rebinding), and a proxy
    that lets the world in passes on the name it was asked by: neither is meant by `open`.
    """
    for name, value in asked["headers"]:
        if name == b"host":
            host = value.decode("latin-1").lower()
            bare = host if host.endswith("]") else host.rpartition(":")[0] or host
            if bare not in _USUAL_NAMES and not _is_loopback_address(bare.strip("[]")):
                raise Problem(
                    HTTPStatus.FORBIDDEN,
                    "Without keys this answers to the name localhost alone: `footfall keys create` makes one.",
                    reason="foreign_host",
                )
            return


def _is_loopback_address(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False
