"""The recommender process, asked over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
import msgspec

from domain.errors import PermanentError, TransientError
from domain.recommendations import Answer, Ask

PATH = "/recommend"
MEDIA_TYPE = "application/msgpack"

_CONNECT_S = 0.1
_CONNECTIONS = 64
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


class RecommenderClient:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def recommend(self, ask: Ask) -> Answer:
        """What the recommender answers.

        Raises:
            TransientError: it is gone, busy, or has no model yet, or none that is whole enough.
            PermanentError: it fails at this question.

        """
        try:
            response = await self._http.post(PATH, content=_encode(ask), headers={"content-type": MEDIA_TYPE})
            if response.status_code == HTTPStatus.OK:
                return _decode(response.content)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise TransientError(f"the recommender does not answer: {type(error).__name__}") from error
        kind = TransientError if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE else PermanentError
        raise kind(f"the recommender answers {response.status_code}: {response.text}")


@asynccontextmanager
async def open_recommender(url: str, within_s: float) -> AsyncIterator[RecommenderClient]:
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    timeout = httpx.Timeout(within_s, connect=_CONNECT_S)
    async with httpx.AsyncClient(base_url=url, timeout=timeout, limits=limits) as http:
        yield RecommenderClient(http)
