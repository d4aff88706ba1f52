"""GET /health: whether the process lives, and whether what it depends on answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from api.schemas import ReadyOut
from api.services import Services

router = APIRouter(tags=["operations"])

_PATIENCE_S = 2.0


@router.get("/health/live", responses={200: {"content": {"application/json": {"example": {"live": True}}}}})
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/serving", responses={503: {}})
async def serving(request: Request) -> Response:
    """For proxies: whether to send requests here, which is from when this process can accept until it leaves.

    A store that goes down is no reason to send them elsewhere, as all have the same; each request says so itself.
    """
    services: Services = request.state.services
    is_serving = services.has_begun() and not services.leaving.port_closes
    return Response(
        msgspec.json.encode({"serving": is_serving}),
        HTTPStatus.OK if is_serving else HTTPStatus.SERVICE_UNAVAILABLE,
        media_type="application/json",
    )


@router.get("/health/ready", response_model=ReadyOut, responses={503: {"model": ReadyOut}})
async def ready(request: Request) -> Response:
    """Every dependency, by name, with its latency; 503 too when this process is about to end.

    What is wrong with one, operators are told.
    """
    services: Services = request.state.services
    answers = await asyncio.gather(*(_ask(check) for check in services.checks.values()))
    dependencies = dict(zip(services.checks, answers, strict=True))
    leaving = services.leaving.port_closes
    is_ready = all(answer["ok"] for answer in answers) and not leaving
    if not is_ready and not await services.gate.trusts(request.scope):
        for answer in answers:
            answer.pop("error", None)
    return Response(
        msgspec.json.encode({"ready": is_ready, "leaving": leaving, "dependencies": dependencies}),
        HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE,
        media_type="application/json",
    )


async def _ask(check: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    started = time.perf_counter()
    error = None
    try:
        await asyncio.wait_for(check(), _PATIENCE_S)
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"[:500]
    answer: dict[str, Any] = {
        "ok": error is None,
        "latency_ms": round((time.perf_counter() - started) * 1000, 3),
    }
    if error is not None:
        answer["error"] = error
    return answer
