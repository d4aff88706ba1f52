"""GET /recommendations/{account_id}: always an answer, which says what it stands on."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from api.choosing import Excluded, ExcludeSeen, InCategory, InStock
from api.paths import know_text_in_paths
from api.problems import invalid
from api.responses import json_response, problems
from api.schemas import MAX_ID, RecommendationsOut
from api.services import Services
from api.sharding import check_shard
from domain.ids import new_id
from domain.recommendations import MOST_ITEMS, USUAL_ITEMS, Answer, Ask, Context
from domain.week import from_us

know_text_in_paths()
router = APIRouter(tags=["recommendations"])


@router.get("/recommendations/{account_id:text}", response_model=RecommendationsOut, responses=problems(421, 422))
async def recommendations(
    request: Request,
    account_id: Annotated[str, Path(min_length=1, max_length=MAX_ID)],
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = USUAL_ITEMS,
    context: Annotated[Context, Query(description="`similar` goes with `item_id`.")] = "homepage",
    item_id: Annotated[str | None, Query(min_length=1, max_length=MAX_ID)] = None,
    exclude: Excluded = None,
    exclude_seen: ExcludeSeen = False,
    exclude_bought: Annotated[bool, Query(description="Leave out what the account bought.")] = True,
    category: InCategory = None,
    in_stock: InStock = False,
) -> Response:
    """What an account may like next, best first.

    Events that carry `recommendation_id` in their metadata are attributed to this answer.
    """
    services: Services = request.state.services
    check_shard(services.shard, [account_id])
    if (context == "similar") != (item_id is not None):
        raise invalid("item_id", "goes with context=similar, and that with it", place="query")
    ask = Ask(
        account_id, limit, context, item_id, tuple(exclude or ()), exclude_seen, exclude_bought, category, in_stock
    )
    return json_response(_out(ask, await services.recommendations.answer(ask)))


def _out(ask: Ask, answer: Answer) -> dict[str, Any]:
    return {
        "recommendation_id": str(new_id()),
        "account_id": ask.account_id,
        "context": ask.context,
        "items": answer.items,
        "rung": answer.rung,
        "model_version": answer.model_version,
        "computed_at": None if answer.computed_at_us is None else from_us(answer.computed_at_us),
        "last_action_at": None if answer.last_action_at_us is None else from_us(answer.last_action_at_us),
    }
