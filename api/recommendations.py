"""GET /recommendations/{account_id}: always an answer, which says what it stands on."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response

from api.assignments import HEADER
from api.choosing import NO_NUL, Excluded, ExcludeSeen, InCategory, InStock
from api.paths import know_text_in_paths
from api.problems import invalid
from api.responses import json_response, problems
from api.schemas import MAX_ID, RecommendationsOut
from api.services import Services
from api.sharding import check_shard
from domain.errors import InvalidInputError
from domain.experiment import Assignment, header_value, model_of, rules_of
from domain.ids import new_id
from domain.recommendations import MOST_ITEMS, USUAL_ITEMS, Answer, Ask, Context
from domain.week import from_us

know_text_in_paths()
router = APIRouter(tags=["recommendations"])

_LONGEST_HEADER = 1_024


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            HEADER: {"description": "The account's arms of the experiments that run.", "schema": {"type": "string"}}
        }
    },
    **problems(421, 422),
}


@router.get("/recommendations/{account_id:text}", response_model=RecommendationsOut, responses=_RESPONSES)
async def recommendations(
    request: Request,
    account_id: Annotated[str, Path(min_length=1, max_length=MAX_ID, pattern=NO_NUL)],
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = USUAL_ITEMS,
    context: Annotated[Context, Query(description="`similar` goes with `item_id`.")] = "homepage",
    item_id: Annotated[str | None, Query(min_length=1, max_length=MAX_ID, pattern=NO_NUL)] = None,
    exclude: Excluded = None,
    exclude_seen: ExcludeSeen = False,
    exclude_bought: Annotated[bool, Query(description="Leave out what the account bought.")] = True,
    category: InCategory = None,
    in_stock: InStock = False,
    x_experiment: Annotated[
        str | None,
        Header(
            alias=HEADER, max_length=_LONGEST_HEADER, description="Arms to answer by; such an answer is not counted."
        ),
    ] = None,
) -> Response:
    """What an account may like next, best first.

    Events that carry `recommendation_id` in their metadata are attributed to this answer.
    """
    services: Services = request.state.services
    check_shard(services.shard, [account_id])
    if (context == "similar") != (item_id is not None):
        raise invalid("item_id", "goes with context=similar, and that with it", place="query")
    own = services.assignments.assign(account_id)
    assigned = own if x_experiment is None else _forced(services, own, x_experiment)
    ask = Ask(
        account_id,
        limit,
        context,
        item_id,
        tuple(exclude or ()),
        exclude_seen,
        exclude_bought,
        category,
        in_stock,
        model_of(assigned),
        rules_of(assigned) or None,
    )
    answer = await services.recommendations.answer(ask)
    recommendation_id = str(new_id())
    if assigned == own:
        services.exposures.record(account_id, recommendation_id, context, own, answer)
    return json_response(_out(ask, answer, recommendation_id), {HEADER: header_value(assigned)} if assigned else None)


def _forced(services: Services, own: Sequence[Assignment], header: str) -> Sequence[Assignment]:
    """The arms that the request asks for. Where they are the account's own, nothing is forced: an app may send back
    what it got.
    """
    try:
        return services.assignments.force(own, header)
    except InvalidInputError as error:
        raise invalid(HEADER, str(error), place="header") from error


def _out(ask: Ask, answer: Answer, recommendation_id: str) -> dict[str, Any]:
    return {
        "recommendation_id": recommendation_id,
        "account_id": ask.account_id,
        "context": ask.context,
        "items": answer.items,
        "rung": answer.rung,
        "model_version": answer.model_version,
        "computed_at": None if answer.computed_at_us is None else from_us(answer.computed_at_us),
        "last_action_at": None if answer.last_action_at_us is None else from_us(answer.last_action_at_us),
        "outdated": answer.outdated,
    }
