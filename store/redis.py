"""Connections to Redis, and the one place where its errors become ours."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from domain.errors import InvalidInputError, PermanentError, TransientError

_REFUSED = (exceptions.AuthenticationError, exceptions.AuthorizationError)
_TRANSIENT = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    OSError,
)
# What a server says that can't do it now and may later: its disk is full, its replicas or its master are away, a
# script hangs.
_TRANSIENT_WORDS = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY")


@asynccontextmanager
async def open_redis(url: str, *, name: str, timeout_s: float) -> AsyncIterator[Redis]:
    """A client that connects when it is used, and answers or fails within `timeout_s`. Nothing is tried twice here.

    Raises:
        InvalidInputError: the URL is none of Redis's.

    """
    try:
        client = Redis.from_url(
            url,
            client_name=name,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise InvalidInputError(f"FOOTFALL_REDIS_URL: {error}") from error
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def translated_errors() -> Iterator[None]:
    """Inside, the driver's errors come out as TransientError or PermanentError, with their cause kept."""
    try:
        yield
    except _REFUSED as error:
        raise PermanentError(f"Redis: {error}") from error
    except _TRANSIENT as error:
        raise TransientError(f"Redis: {type(error).__name__}: {error}") from error
    except exceptions.ResponseError as error:
        if str(error).startswith(_TRANSIENT_WORDS):
            raise TransientError(f"Redis: {error}") from error
        raise PermanentError(f"Redis: {error}") from error
    except exceptions.RedisError as error:
        raise PermanentError(f"Redis: {type(error).__name__}: {error}") from error
