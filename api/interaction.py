"""POST /interaction: the front door."""

from fastapi import APIRouter, Request, Response

from api.parsing import INTERACTIONS
from api.recording import ANSWERS, PARAMETERS, record

router = APIRouter(tags=["interactions"])


@router.post("/interaction", **ANSWERS, openapi_extra={"parameters": PARAMETERS, "requestBody": INTERACTIONS.openapi})
async def record_interactions(request: Request) -> Response:
    """Record 1 to 1,000 interactions. 202 means committed: they will be in every read model exactly once."""
    return await record(request, INTERACTIONS.parse)
