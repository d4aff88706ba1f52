"""JWTs that name the account that asks."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt
from cachetools import LRUCache
from jwt import PyJWK

from api.problems import Problem
from api.security.gate import refused
from domain.access import Caller, Scope, key_digest

_log = logging.getLogger(__name__)

ALGORITHMS: Final = ("RS256", "ES256")
_SCOPES: tuple[Scope, ...] = ("ingest", "read")
_MOST_CACHED = 10_000
_LONGEST_ID = 128
_LONGEST_TOKEN = 8_192


class KeySet(Protocol):
    """The keys that tokens are signed with, by their ids."""

    version: int
    """Another one whenever the keys are others."""

    async def find(self, key_id: str | None) -> PyJWK | None: ...


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to say. Neither issuer nor audience may be left out: one set of keys often signs for many."""

    issuer: str
    audience: str
    account_claim: str
    leeway_s: float


class _Verified:
    __slots__ = ("caller", "until_s")

    def __init__(self, caller: Caller, until_s: float) -> None:
        self.caller = caller
        self.until_s = until_s


class JwtTokens:
    """Verifies each token once, and remembers it until it ends or the keys change."""

    def __init__(self, keys: KeySet, rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules
        self._verified: LRUCache[bytes, _Verified] = LRUCache(_MOST_CACHED)
        self._of_version = keys.version

    async def caller(self, token: bytes) -> Caller:
        """The account that the token is of.

        Raises:
            Problem: 401. It is not signed by a key of ours, or does not say what it has to.

        """
        if self._of_version != self._keys.version:
            self._verified.clear()  # what a key signed that is gone is worth nothing any more
            self._of_version = self._keys.version
        digest = key_digest(token)
        known = self._verified.get(digest)
        if known is None:
            version = self._keys.version
            known = await self._verify(token)
            if version == self._keys.version == self._of_version:
                self._verified[digest] = known
        if time.time() >= known.until_s:
            raise refused("The token has expired.", "expired_token")
        return known.caller

    async def _verify(self, token: bytes) -> _Verified:
        try:
            header = jwt.get_unverified_header(_short(token))
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise refused(f"Tokens are signed with {' or '.join(ALGORITHMS)} here.", "bad_token")
            key = await self._keys.find(header.get("kid"))
            if key is None:
                raise refused("No known key signed the token.", "bad_token")
            claims = self._claims(token, key)
        except jwt.ExpiredSignatureError as error:
            raise refused("The token has expired.", "expired_token") from error
        except jwt.PyJWTError as error:
            raise refused(f"The token is not taken: {_reason(error)}.", "bad_token") from error
        return _Verified(self._caller(claims), float(claims["exp"]) + self._rules.leeway_s)

    def _claims(self, token: bytes, key: PyJWK) -> Mapping[str, Any]:
        """The key's own algorithm is the one that verifies: what the token's header says can only fail by it."""
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=self._rules.issuer,
            audience=self._rules.audience,
            leeway=self._rules.leeway_s,
            options={"require": ["exp", "iss", "aud", self._rules.account_claim], "enforce_minimum_key_length": True},
        )
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        account_id = claims[self._rules.account_claim]
        if not isinstance(account_id, str) or not 1 <= len(account_id) <= _LONGEST_ID or "\0" in account_id:
            raise _no_account(self._rules.account_claim)
        return Caller(f"account {account_id}", _SCOPES, account_id)


def _no_account(claim: str) -> Problem:
    return refused(f"The token's {claim!r} is no account: 1 to {_LONGEST_ID} characters.", "bad_token")


def _short(token: bytes) -> bytes:
    if len(token) > _LONGEST_TOKEN:
        raise refused(f"The token is over {_LONGEST_TOKEN} bytes.", "bad_token")
    return token


def _reason(error: jwt.PyJWTError) -> str:
    """The library's sentence, which quotes nothing of the token but its header's and claims' names."""
    return str(error).rstrip(".") or type(error).__name__
