"""The recommender's own interface, for the API and the worker: POST /recommend in MessagePack, health and metrics."""

import hmac
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import TypedDict

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.registry import registry
from domain.errors import FootfallError, TransientError
from domain.recommendations import Ask
from serving.client import MEDIA_TYPE, PATH, SECRET_HEADER
from serving.ladder import Recommend

_LIVE, _READY, _METRICS = "/health/live", "/health/ready", "/metrics"
_OPEN = {_LIVE, _READY, _METRICS}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ask).decode


class RecommenderState(TypedDict):
    recommend: Recommend
    is_ready: Callable[[], bool]


async def recommend(request: Request) -> Response:
    try:
        answer = await request.state.recommend(_decode(await request.body()))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return PlainTextResponse(str(error), HTTPStatus.BAD_REQUEST)
    except TransientError as error:
        return PlainTextResponse(str(error), HTTPStatus.SERVICE_UNAVAILABLE)
    except FootfallError as error:
        return PlainTextResponse(str(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    return Response(_encode(answer), media_type=MEDIA_TYPE)


async def live(_request: Request) -> Response:
    return PlainTextResponse("alive")


async def ready(request: Request) -> Response:
    """Whether it answers as well as it can: with the current model where there is one."""
    is_ready = request.state.is_ready()
    return PlainTextResponse(
        "ready" if is_ready else "loading", HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    )


async def metrics(_request: Request) -> Response:
    return Response(generate_latest(registry()), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _SecretAsked:
    """Lets no one past who does not know the secret, but to health and metrics, which say nothing of anybody."""

    def __init__(self, app: ASGIApp, *, secret: str) -> None:
        self._app = app
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN and not self._is_told(scope):
            await PlainTextResponse("the secret is missing or wrong", HTTPStatus.UNAUTHORIZED)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_told(self, scope: Scope) -> bool:
        told: bytes = dict(scope["headers"]).get(SECRET_HEADER.encode(), b"")
        return hmac.compare_digest(told, self._secret)


def create_recommender(
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[RecommenderState]], secret: str | None
) -> Starlette:
    """The application; `lifespan` opens and closes what it answers with. `secret`: what has to be known to ask."""
    return Starlette(
        routes=[
            Route(PATH, recommend, methods=["POST"]),
            Route(_LIVE, live),
            Route(_READY, ready),
            Route(_METRICS, metrics),
        ],
        lifespan=lifespan,
        middleware=[] if secret is None else [Middleware(_SecretAsked, secret=secret)],
    )
