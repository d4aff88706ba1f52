"""POST /interaction: the front door."""

from fastapi import APIRouter, Request, Response

from api.bodies import Parsed
from api.own import claimed
from api.parsing import INTERACTIONS, OWN_INTERACTIONS
from api.recording import ANSWERS, PARAMETERS, record
from api.schemas import InteractionIn, OwnInteractionIn

router = APIRouter(tags=["interactions"])


@router.post("/interaction", **ANSWERS, openapi_extra={"parameters": PARAMETERS, "requestBody": INTERACTIONS.openapi})
async def record_interactions(request: Request) -> Response:
    """Record 1 to 1,000 interactions. 202 means committed: they will be in every read model exactly once."""
    return await record(request, INTERACTIONS.parse, _read_own)


def _read_own(body: bytes, now_us: int, account_id: str) -> Parsed[InteractionIn]:
    return claimed(OWN_INTERACTIONS.parse(body, now_us), account_id).turned(_plain)


def _plain(one: OwnInteractionIn) -> InteractionIn:
    return one
