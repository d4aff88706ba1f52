"""DELETE /interactions/{account_id}, GET /erasures/{erasure_id}, GET /interactions/{account_id}/export."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.paths import know_text_in_paths
from api.problems import Problem, invalid
from api.responses import problems, to_json
from api.schemas import MAX_ID
from api.services import Services
from api.sharding import check_shard
from domain.week import from_us
from intake.export import MEDIA_TYPE
from store.erasure import Erasure

know_text_in_paths()
router = APIRouter(tags=["privacy"])

_Account = Annotated[str, Path(min_length=1, max_length=MAX_ID)]


class ErasureOut(BaseModel):
    """What is kept of an erasure. It does not say whose."""

    erasure_id: UUID
    state: str = Field(
        description="waiting, erasing, settling (gone from every store; once more in a while, after whoever was at "
        "work then), done."
    )
    subtract: bool
    asked_at: datetime
    erased_before: datetime | None = Field(description="What occurred before is erased, and is not recorded again.")
    erased_at: datetime | None
    done_at: datetime | None
    counts: dict[str, int] = Field(description="What was removed so far, by what it was.")


@router.delete(
    "/interactions/{account_id:text}",
    status_code=HTTPStatus.ACCEPTED,
    response_model=ErasureOut,
    responses=problems(409, 421, 422, 503),
)
async def erase_account(
    request: Request,
    account_id: _Account,
    subtract: Annotated[bool, Query(description="Take the account's share out of popularity too.")] = False,
) -> Response:
    """Erase everything that is kept of an account. Asked again before it has begun, it is the same erasure."""
    services: Services = request.state.services
    _check(services, account_id)
    asked = await services.erasures.ask(account_id, subtract=subtract)
    headers = {"Location": f"{request.scope['root_path']}/erasures/{asked.erasure_id}"}
    return Response(to_json(described(asked)), HTTPStatus.ACCEPTED, media_type="application/json", headers=headers)


@router.get("/erasures/{erasure_id}", response_model=ErasureOut, responses=problems(404, 422, 503))
async def erasure(request: Request, erasure_id: UUID) -> Response:
    """How far an erasure is, and what it removed. Kept for good."""
    services: Services = request.state.services
    found = await services.erasures.find(erasure_id)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no erasure {erasure_id}.")
    return Response(to_json(described(found)), media_type="application/json")


@router.get(
    "/interactions/{account_id:text}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}}, **problems(421, 422, 503)},
)
async def export_account(request: Request, account_id: _Account) -> Response:
    """Everything that is kept of an account, as lines of JSON; the last one is of the kind `end`."""
    services: Services = request.state.services
    _check(services, account_id)
    export = await services.exporter.export(account_id)
    return StreamingResponse(export.lines(), media_type=MEDIA_TYPE)


def _check(services: Services, account_id: str) -> None:
    if "\0" in account_id:
        raise invalid("account_id", "NUL characters are not accepted", place="path")
    check_shard(services.shard, [account_id])


def described(one: Erasure) -> dict[str, Any]:
    """As JSON, here and on the command line."""
    return {
        "erasure_id": one.erasure_id,
        "state": one.state,
        "subtract": one.subtract,
        "asked_at": one.asked_at,
        "erased_before": None if one.erased_before is None else from_us(one.erased_before),
        "erased_at": one.erased_at,
        "done_at": one.done_at,
        "counts": one.counts,
    }
