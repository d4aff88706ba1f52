"""Who may ask an API process, from its settings and the keys in its database."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from api.security.gate import Gate, Tokens
from api.security.keyring import Keyring
from domain.errors import InvalidInputError, TransientError
from runtime.connections import open_pool
from runtime.ports import is_loopback
from runtime.settings import Settings
from store.keys import KeyStore
from store.postgres import Pool

if TYPE_CHECKING:
    from api.security.rates import Rates

_CLOSED = (
    "FOOTFALL_HOST: on {host} others can reach the API, and there is no key to tell them apart by. Make one with "
    "`footfall keys create NAME --scope ingest`, or set FOOTFALL_JWKS_URL, or listen on 127.0.0.1: docs/security.md."
)

_OPEN_RECOMMENDER = (
    "FOOTFALL_RECOMMENDER_HOST: on {host} others can reach the recommender. Set FOOTFALL_RECOMMENDER_SECRET for it, "
    "the API and the worker, or have it listen on 127.0.0.1: docs/security.md."
)


_BEGIN_S = 2.0


class Guarded(NamedTuple):
    gate: Gate
    keys: Keyring
    works: list[Coroutine[Any, Any, None]]
    """What has to run for as long as the gate is used."""


def open_gate(settings: Settings, pool: Pool) -> Guarded:
    keys = Keyring(KeyStore(pool))
    tokens, works = _tokens(settings) if settings.takes_tokens else (None, [])
    gate = Gate(keys, tokens, _rates(settings), on_loopback=is_loopback(settings.host))
    return Guarded(gate, keys, [keys.keep_fresh(), *works])


async def begin(has_days: asyncio.Event, keys: Keyring) -> None:
    """Takes the first request once it can be answered: of several processes that are replaced one by one none refuses
    any. Where PostgreSQL does not answer it opens all the same, and says so to whoever asks.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_BEGIN_S):
            await has_days.wait()
            await keys.wait_until_read()


def with_keys(postgres: Callable[[], Awaitable[None]], keys: Keyring) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        await postgres()
        if not keys.is_read:
            raise TransientError("the API keys are not read yet")

    return check


async def insist_on_keys(settings: Settings) -> None:
    """Nobody is to find out later that a Footfall was open to everybody.

    Where PostgreSQL does not answer there is no telling, and the process starts: it answers nobody without a key.

    Raises:
        InvalidInputError: others can reach the API, and nothing says who of them may.

    """
    if is_loopback(settings.host) or settings.takes_tokens:
        return
    async with open_pool(settings, "footfall api start", 1) as pool:
        try:
            keys = await KeyStore(pool).all()
        except TransientError:
            return
    if not keys:
        raise InvalidInputError(_CLOSED.format(host=settings.host))


def insist_on_secret(settings: Settings) -> None:
    """The recommender is for the API and the worker: it tells of any account whatever is asked.

    Raises:
        InvalidInputError: others can reach it, and nothing tells them from these two.

    """
    if not is_loopback(settings.recommender_host) and settings.recommender_secret is None:
        raise InvalidInputError(_OPEN_RECOMMENDER.format(host=settings.recommender_host))


def _tokens(settings: Settings) -> tuple[Tokens, list[Coroutine[Any, Any, None]]]:
    from api.security.jwks import Jwks, from_file, from_url  # noqa: PLC0415  (cryptography is for those who need it)
    from api.security.tokens import JwtTokens, TokenRules  # noqa: PLC0415

    if settings.jwks_url is not None:
        fetch = from_url(settings.jwks_url.get_secret_value())
    elif settings.jwks_file is not None:
        fetch = from_file(settings.jwks_file)
    keys = Jwks(fetch, refresh_s=settings.jwks_refresh_s)
    rules = TokenRules(
        settings.jwt_issuer or "", settings.jwt_audience or "", settings.jwt_account_claim, settings.jwt_leeway_s
    )
    return JwtTokens(keys, rules), [keys.keep_fresh()]


def _rates(settings: Settings) -> "Rates | None":
    if settings.rate_limit_address is None and settings.rate_limit_caller is None:
        return None
    from api.security.rates import Rates  # noqa: PLC0415  (its library takes a third of a second to load)

    return Rates(settings.rate_limit_address, settings.rate_limit_caller)
