"""GET /interaction/{event_id} and /batches/{batch_id}: what became of what was accepted."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.problems import Problem, invalid
from api.responses import json_response, problems
from api.schemas import BatchReceiptOut, EventReceiptOut
from api.services import Services
from domain.ids import made_at
from intake.receipts import BatchReceiptRow, Parked
from intake.releases import Releases

router = APIRouter(tags=["receipts"])

_WAIT = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s)")
_LONGEST_WAIT_S = 30.0
_LOOK_AGAIN_S = 0.5
"""A wait hears of releases; it also looks itself, should one not be heard."""
_MOST_MOVES = 32
_FINAL = {"done", "quarantined"}

Wait = Annotated[
    str | None,
    Query(description="Answer as soon as all is done, after so long at the latest: 500ms, 2s; up to 30s."),
]


@router.get("/interaction/{event_id}", response_model=EventReceiptOut, responses=problems(404, 422, 503))
async def event_receipt(request: Request, event_id: UUID, wait: Wait = None) -> Response:
    """What became of one interaction, for as long as the ledger knows its id."""
    services: Services = request.state.services
    receipt = await _until_done(services.releases, lambda: _event(services, event_id), _wait_s(wait))
    if receipt is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"The ledger does not know the event id {event_id}.")
    return json_response(receipt)


@router.get("/batches/{batch_id}", response_model=BatchReceiptOut, responses=problems(404, 422, 503))
async def batch_receipt(request: Request, batch_id: UUID, wait: Wait = None) -> Response:
    """What became of the batch that a 202 named."""
    services: Services = request.state.services
    receipt = await _until_done(services.releases, lambda: _batch(services, batch_id), _wait_s(wait))
    if receipt is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no batch {batch_id}, or it was done long ago.")
    return json_response(receipt)


def _wait_s(wait: str | None) -> float:
    if wait is None:
        return 0.0
    matched = _WAIT.fullmatch(wait)
    if matched is None:
        raise invalid("wait", "a time like 500ms or 2s", place="query")
    seconds = float(matched[1]) / (1_000 if matched[2] == "ms" else 1)
    if seconds > _LONGEST_WAIT_S:
        raise invalid("wait", f"at most {_LONGEST_WAIT_S:.0f}s", place="query")
    return seconds


Receipt = dict[str, Any]


async def _until_done(
    releases: Releases, look: Callable[[], Awaitable[Receipt | None]], wait_s: float
) -> Receipt | None:
    """The receipt as it stands, or, with a wait, as soon as all is done."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    heard = asyncio.Event()

    def hear(_batch_id: UUID | None) -> None:
        heard.set()

    releases.add(hear)
    try:
        while True:
            heard.clear()
            receipt = await look()
            left = deadline - loop.time()
            if receipt is None or receipt["state"] in _FINAL or left <= 0:
                return receipt
            try:
                await asyncio.wait_for(heard.wait(), min(left, _LOOK_AGAIN_S))
            except TimeoutError:
                continue
    finally:
        releases.remove(hear)


async def _event(services: Services, event_id: UUID) -> Receipt | None:
    row = await services.receipts.event(event_id)
    if row is None:
        return None
    parked = await services.receipts.parked(row.batch_id) if row.batch_id else {}
    done = services.fan_outs if row.released else row.applied
    fan_outs = {
        name: {"state": "quarantined", "reason": row.quarantined[name]}
        if name in row.quarantined
        else _fan_out(name in done, parked.get(name), row.discarded.get(name))
        for name in dict.fromkeys([*services.fan_outs, *parked, *row.discarded, *row.quarantined])
    }
    return {
        "event_id": event_id,
        "accepted_at": row.accepted_at or made_at(row.intake_id),
        "batch_id": row.batch_id,
        "state": _open_state(fan_outs) if row.quarantined or not row.released else "done",
        "fan_outs": fan_outs,
    }


async def _batch(services: Services, batch_id: UUID) -> Receipt | None:
    carried_by, row = await _follow(services, batch_id)
    if row is None:
        return None
    parked = await services.receipts.parked(carried_by)
    fan_outs = {
        name: _fan_out(row.applied.get(name, 0) == row.rows_left, parked.get(name), row.discarded.get(name))
        | ({"quarantined": row.quarantined[name]} if name in row.quarantined else {})
        for name in dict.fromkeys([*services.fan_outs, *parked, *row.discarded, *row.quarantined])
    }
    return {
        "batch_id": batch_id,
        "carried_by": carried_by,
        "accepted_at": _accepted_at(batch_id, row),
        "events": row.events_left + row.events_released,
        "state": "done" if row.rows_left == 0 else _open_state(fan_outs),
        "fan_outs": fan_outs,
    }


async def _follow(services: Services, batch_id: UUID) -> tuple[UUID, BatchReceiptRow | None]:
    """The batch that carries the rows now, and how it stands."""
    row = await services.receipts.batch(batch_id)
    for _ in range(_MOST_MOVES):
        if row is None or row.moved_to is None or row.rows_left:
            break
        batch_id = row.moved_to
        row = await services.receipts.batch(batch_id)
    return batch_id, row


def _accepted_at(batch_id: UUID, row: BatchReceiptRow) -> datetime:
    """Of the oldest row; once all are released, when the batch was opened, which its id tells."""
    if row.accepted_at is not None:
        return row.accepted_at
    return made_at(batch_id)


def _fan_out(is_done: bool, parked: Parked | None, discarded: str | None) -> Receipt:
    if discarded is not None:
        return {"state": "discarded", "reason": discarded}
    if is_done:
        return {"state": "done"}
    if parked is not None:
        return {"state": "parked", "reason": parked.reason, "parked_at": parked.parked_at}
    return {"state": "waiting"}


def _open_state(fan_outs: Mapping[str, Receipt]) -> str:
    """Of what is not in every read model: what an operator has to look at comes first."""
    states = {one["state"] for one in fan_outs.values()}
    return next((state for state in ("parked", "waiting", "quarantined") if state in states), "waiting")
