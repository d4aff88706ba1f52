"""The way of a request's interactions through the intake, whichever route they came by."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import Request, Response

from api.bodies import Parsed, unprocessable
from api.problems import RETRY_AFTER_S, Problem, invalid
from api.reading import JSON, NDJSON, media_type, read_body
from api.responses import problems
from api.schemas import AcceptedOut, InteractionIn
from api.services import Services
from api.sharding import check_shard
from api.stamping import LONGEST_USER_AGENT, Stamp, stamp
from api.turns import Turns, in_turns
from domain.access import Caller
from domain.errors import FootfallError
from domain.ids import id_text
from intake.commit import Accepted
from intake.entrance import BacklogFullError
from intake.ledger import LedgerDays, now_us
from intake.log import NewInteraction

_LONGEST_KEY = 255
_STAMPED_AT_A_TURN = 1_000
_TOLD = ("index", "line", "pointer", "reason")
_SWITCH = {"true": True, "1": True, "false": False, "0": False}

PARAMETERS = [
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

ANSWERS: dict[str, Any] = {
    "status_code": HTTPStatus.ACCEPTED,
    "response_model": AcceptedOut,
    "responses": problems(400, 413, 415, 421, 422, 429, 503),
}
"""What a route that records answers, for its decorator."""

Read = Callable[[bytes, int], Parsed[InteractionIn]]
"""From a body and the moment, in microseconds since the Unix epoch, to interactions."""

ReadOwn = Callable[[bytes, int, str], Parsed[InteractionIn]]
"""The same for an account that asks for itself, by its id."""


ReadLines = Callable[[bytes, int, str | None], Turns[Parsed[InteractionIn]]]
"""The same of NDJSON, with the account's id where it is an account that asks."""


async def record(request: Request, read: Read, read_own: ReadOwn, read_lines: ReadLines | None = None) -> Response:
    """Commits the interactions of a request and answers 202. NDJSON is taken where it can be read.

    Raises:
        Problem: none of them was recorded; or, with status 503, it is not known.

    """
    services: Services = request.state.services
    sent_as = media_type(request, JSON) if read_lines is None else media_type(request, JSON, NDJSON)
    partial = _partial(request)
    shared = _stamp(request)
    caller: Caller = request.state.caller
    body = await read_body(request)
    if read_lines is not None and sent_as == NDJSON:
        parsed = await in_turns(read_lines(body, shared.now_us, caller.account_id))
    elif caller.account_id is None:
        parsed = read(body, shared.now_us)
    else:
        parsed = read_own(body, shared.now_us, caller.account_id)
    if parsed.faults and not (partial and parsed.valid):
        raise unprocessable(parsed.faults)
    check_shard(services.shard, (one.account_id for _, one in parsed.valid))
    if services.gate.rates is not None:
        services.gate.rates.count_interactions(caller, len(parsed.valid))
    events = await in_turns(_stamped(parsed, shared, services.ledger_days))
    accepted = await _commit(services, events)
    return Response(
        _answer(accepted, events, parsed if partial else None),
        HTTPStatus.ACCEPTED,
        media_type="application/json",
    )


def _stamped(parsed: Parsed[InteractionIn], shared: Stamp, days: LedgerDays) -> Turns[list[NewInteraction]]:
    events: list[NewInteraction] = []
    for at in range(0, len(parsed.valid), _STAMPED_AT_A_TURN):
        some = parsed.valid[at : at + _STAMPED_AT_A_TURN]
        events += [stamp(one, index, shared, days) for index, one in some]
        if len(events) < len(parsed.valid):
            yield
    return events


async def _commit(services: Services, events: list[NewInteraction]) -> Accepted:
    try:
        return await services.entrance.record(events)
    except BacklogFullError as full:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            str(full),
            headers={"Retry-After": str(full.retry_after_s)},
            reason="backlog",
        ) from full
    except FootfallError as error:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The interactions could not be made durable, or it is not known. With the same event ids, or the same "
            "Idempotency-Key, they may safely be sent again.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
            reason="not_durable",
        ) from error


def _answer(accepted: Accepted, events: list[NewInteraction], partial: Parsed[InteractionIn] | None) -> bytes:
    body: dict[str, Any] = {
        "accepted": accepted.accepted,
        "duplicates": accepted.duplicates,
        "event_ids": [id_text(event.interaction.event_id) for event in events],
        "batch_id": accepted.batch_id and str(accepted.batch_id),
    }
    if partial is not None:
        body["rejected"] = partial.rejected
        body["errors"] = [{key: one[key] for key in _TOLD if key in one} for one in partial.faults]
    return msgspec.json.encode(body)


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
