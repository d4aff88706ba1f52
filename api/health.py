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


@router.get("/health/ready", response_model=ReadyOut, responses={503: {"model": ReadyOut}})
async def ready(request: Request) -> Response:
    """Every dependency, by name, with its latency."""
    services: Services = request.state.services
    answers = await asyncio.gather(*(_ask(check) for check in services.checks.values()))
    dependencies = dict(zip(services.checks, answers, strict=True))
    is_ready = all(answer["ok"] for answer in answers)
    return Response(
        msgspec.json.encode({"ready": is_ready, "dependencies": dependencies}),
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
