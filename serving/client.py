"""The recommender process, asked over HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
import msgspec
from pydantic import SecretStr

from domain.errors import PermanentError, TransientError
from domain.recommendations import Answer, Ask

PATH = "/recommend"
SECRET_HEADER = "x-footfall-secret"  # noqa: S105  (a name)
MEDIA_TYPE = "application/msgpack"

_CONNECT_S = 0.1
_CONNECTIONS = 64
_KEPT_S = 4.0
"""Less than the five seconds after which uvicorn ends an idle connection: none is used that is about to end."""
_HEADERS = {"content-type": MEDIA_TYPE}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


class RecommenderClient:
    """`secret` is what the recommender asks of those who ask it, where it asks for any."""

    def __init__(self, http: aiohttp.ClientSession, url: str, secret: str | None) -> None:
        self._http = http
        self._url = url.rstrip("/") + PATH
        self._headers = _HEADERS if secret is None else {**_HEADERS, SECRET_HEADER: secret}

    async def recommend(self, ask: Ask) -> Answer:
        """What the recommender answers.

        Raises:
            TransientError: it is gone, busy, or has no model yet, or none that is whole enough.
            PermanentError: it fails at this question.

        """
        try:
            async with self._http.post(self._url, data=_encode(ask), headers=self._headers) as response:
                said = await response.read()
            if response.status == HTTPStatus.OK:
                return _decode(said)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            raise TransientError(f"the recommender does not answer: {type(error).__name__}") from error
        kind = TransientError if response.status == HTTPStatus.SERVICE_UNAVAILABLE else PermanentError
        raise kind(f"the recommender answers {response.status}: {said.decode(errors='replace')}")


@asynccontextmanager
async def open_recommender(
    url: str,
    within_s: float,
    secret: SecretStr | None = None,
    watched: Sequence[aiohttp.TraceConfig] = (),
) -> AsyncIterator[RecommenderClient]:
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEPT_S)
    timeout = aiohttp.ClientTimeout(total=within_s, sock_connect=_CONNECT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trace_configs=list(watched)) as http:
        yield RecommenderClient(http, url, None if secret is None else secret.get_secret_value())
