"""The recommender's own interface, for the API and the worker: POST /recommend in MessagePack, health and metrics."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import TypedDict

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.registry import registry
from domain.errors import FootfallError, TransientError
from domain.recommendations import Ask
from serving.client import MEDIA_TYPE, PATH
from serving.ladder import Recommend

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ask).decode


class RecommenderState(TypedDict):
    recommend: Recommend


async def recommend(request: Request) -> Response:
    try:
        answer = await request.state.recommend(_decode(await request.body()))
    except msgspec.MsgspecError as error:
        return PlainTextResponse(str(error), HTTPStatus.BAD_REQUEST)
    except TransientError as error:
        return PlainTextResponse(str(error), HTTPStatus.SERVICE_UNAVAILABLE)
    except FootfallError as error:
        return PlainTextResponse(str(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    return Response(_encode(answer), media_type=MEDIA_TYPE)


async def live(_request: Request) -> Response:
    return PlainTextResponse("alive")


async def metrics(_request: Request) -> Response:
    return Response(generate_latest(registry()), headers={"Content-Type": CONTENT_TYPE_LATEST})


def create_recommender(lifespan: Callable[[Starlette], AbstractAsyncContextManager[RecommenderState]]) -> Starlette:
    """The application; `lifespan` opens and closes what it answers with."""
    return Starlette(
        routes=[
            Route(PATH, recommend, methods=["POST"]),
            Route("/health/live", live),
            Route("/metrics", metrics),
        ],
        lifespan=lifespan,
    )
