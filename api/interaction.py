"""POST /interaction: the front door."""

from fastapi import APIRouter, Request, Response

from api.bodies import Parsed
from api.ndjson import Lines
from api.own import claimed
from api.parsing import INTERACTIONS, OWN_INTERACTIONS
from api.recording import ANSWERS, PARAMETERS, record
from api.schemas import InteractionIn, OwnInteractionIn
from api.turns import Turns

router = APIRouter(tags=["interactions"])

LINES = Lines(INTERACTIONS)
_OWN_LINES = Lines(OWN_INTERACTIONS)


@router.post("/interaction", **ANSWERS, openapi_extra={"parameters": PARAMETERS, "requestBody": LINES.openapi})
async def record_interactions(request: Request) -> Response:
    """Record 1 to 1,000 interactions, as lines of JSON up to 10,000. 202 means committed: they will be in every read
    model exactly once.
    """
    return await record(request, INTERACTIONS.parse, _read_own, _read_lines)


def _read_own(body: bytes, now_us: int, account_id: str) -> Parsed[InteractionIn]:
    return claimed(OWN_INTERACTIONS.parse(body, now_us), account_id).turned(_plain)


def _read_lines(content: bytes, now_us: int, account_id: str | None) -> Turns[Parsed[InteractionIn]]:
    if account_id is None:
        return (yield from LINES.parse(content, now_us))
    return claimed((yield from _OWN_LINES.parse(content, now_us)), account_id).turned(_plain)


def _plain(one: OwnInteractionIn) -> InteractionIn:
    return one
