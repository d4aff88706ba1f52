"""POST /interaction: the front door."""

import time
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from api.metrics import ACCEPTED, COMMIT_SECONDS, DUPLICATES
from api.parsing import Parsed, parse, refuse
from api.problems import RETRY_AFTER_S, Problem, invalid
from api.responses import problems
from api.schemas import AcceptedOut
from api.services import Services
from api.sharding import check_shard
from api.stamping import LONGEST_USER_AGENT, Stamp, stamp
from domain.errors import FootfallError
from domain.ids import id_text
from intake.commit import Accepted
from intake.ledger import now_us
from intake.log import NewInteraction

router = APIRouter(tags=["interactions"])

_LONGEST_KEY = 255
_SWITCH = {"true": True, "1": True, "false": False, "0": False}

_PARAMETERS = [
    {
        "name": "partial",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "description": "Record the valid ones and name the others, in place of all or nothing.",
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY},
        "description": "Makes sending the same body again safe where its interactions have no event_id.",
    },
]


@router.post(
    "/interaction",
    status_code=HTTPStatus.ACCEPTED,
    response_model=AcceptedOut,
    responses=problems(400, 413, 415, 421, 422, 429, 503),
    openapi_extra={
        "parameters": _PARAMETERS,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/InteractionIn"},
                            {"$ref": "#/components/schemas/InteractionsIn"},
                        ]
                    }
                }
            },
        },
    },
)
async def record_interactions(request: Request) -> Response:
    """Record 1 to 1,000 interactions. 202 means committed: they will be in every read model exactly once."""
    services: Services = request.state.services
    _check_media_type(request)
    partial = _partial(request)
    shared = _stamp(request)
    parsed = parse(await request.body(), shared.now_us)
    if parsed.faults and not (partial and parsed.interactions):
        raise refuse(parsed)
    check_shard(services.shard, (one.account_id for _, one in parsed.interactions))
    events = [stamp(one, index, shared, services.ledger_days) for index, one in parsed.interactions]
    accepted = await _commit(services, events)
    return Response(
        _answer(accepted, events, parsed if partial else None),
        HTTPStatus.ACCEPTED,
        media_type="application/json",
    )


async def _commit(services: Services, events: list[NewInteraction]) -> Accepted:
    wait_s = services.backlog.retry_after_s(services.commit.waiting_events, len(events))
    if wait_s is not None:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "Too much is accepted and not yet worked off; send it again later.",
            headers={"Retry-After": str(wait_s)},
            reason="backlog",
        )
    started = time.perf_counter()
    try:
        accepted = await services.commit.submit(events)
    except FootfallError as error:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The interactions could not be made durable, or it is not known. With the same event ids, or the same "
            "Idempotency-Key, they may safely be sent again.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
            reason="not_durable",
        ) from error
    COMMIT_SECONDS.observe(time.perf_counter() - started)
    services.backlog.added(accepted.accepted)
    ACCEPTED.inc(accepted.accepted)
    DUPLICATES.inc(accepted.duplicates)
    return accepted


def _answer(accepted: Accepted, events: list[NewInteraction], partial: Parsed | None) -> bytes:
    body: dict[str, Any] = {
        "accepted": accepted.accepted,
        "duplicates": accepted.duplicates,
        "event_ids": [id_text(event.interaction.event_id) for event in events],
        "batch_id": accepted.batch_id and str(accepted.batch_id),
    }
    if partial is not None:
        body["rejected"] = partial.rejected
        body["errors"] = [{key: one[key] for key in ("index", "pointer", "reason")} for one in partial.faults]
    return msgspec.json.encode(body)


def _check_media_type(request: Request) -> None:
    sent = request.headers.get("content-type", "")
    media_type = sent.partition(";")[0].strip().lower()
    if media_type != "application/json":
        said = f"not {media_type}" if media_type else "and there is no Content-Type"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The body must be application/json, {said}.")


def _partial(request: Request) -> bool:
    if not request.scope["query_string"]:
        return False
    value = request.query_params.get("partial", "false")
    if value.lower() not in _SWITCH:
        raise invalid("partial", f"true or false, not {value!r}", place="query")
    return _SWITCH[value.lower()]


def _stamp(request: Request) -> Stamp:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= _LONGEST_KEY:
        raise invalid("Idempotency-Key", f"1 to {_LONGEST_KEY} characters, not {len(key)}", place="header")
    user_agent = request.headers.get("user-agent")
    return Stamp(
        now_us=now_us(),
        idempotency_key=key,
        user_agent=user_agent and user_agent[:LONGEST_USER_AGENT],
        ip_address=request.client.host if request.client else None,
    )
