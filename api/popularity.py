"""GET /popularity: the products that people care about, straight from their table."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Query, Request, Response

from api.choosing import NO_NUL, Excluded, ExcludeSeen, InCategory, InStock
from api.cursors import read_cursor, write_cursor
from api.paths import know_text_in_paths
from api.problems import Problem, invalid
from api.responses import json_body, json_response, problems, to_json
from api.schemas import MAX_ID, PopularityOut, TopOut
from api.services import Services
from api.sharding import check_shard
from domain.event_types import UNITS_PER_POINT
from store.popularity import ANY_PRODUCT, AfterProduct, Popularity, Wanted

know_text_in_paths()
router = APIRouter(tags=["popularity"])

Window = Literal["all", "1d", "7d", "30d"]

_WINDOWS: dict[str, Window] = {"all": "all", "1d": "1d", "7d": "7d", "30d": "30d"}
_DAYS: dict[Window, int] = {"1d": 1, "7d": 7, "30d": 30}
_USUAL_LIMIT, _MOST = 20, 100
_LIMIT = re.compile("[1-9][0-9]{0,2}", re.ASCII)
_LONGEST_CURSOR = 1_024


class _Place(NamedTuple):
    window: str
    first_day: str
    score: int
    product_id: str


@router.get("/popularity/top", response_model=TopOut, responses=problems(422, 503))
async def top_products(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _USUAL_LIMIT,
    cursor: Annotated[str | None, Query(max_length=_LONGEST_CURSOR)] = None,
    window: Annotated[Window, Query(description="all, or the last so many UTC days, today included.")] = "all",
    exclude: Excluded = None,
    category: InCategory = None,
    in_stock: InStock = False,
    account_id: Annotated[
        str | None,
        Query(min_length=1, max_length=MAX_ID, pattern=NO_NUL, description="Whose `exclude_seen`, `exclude_bought`."),
    ] = None,
    exclude_seen: ExcludeSeen = False,
    exclude_bought: Annotated[bool, Query(description="Leave out what the account bought.")] = False,
) -> Response:
    """Products by score, highest first."""
    services: Services = request.state.services
    if (exclude_seen or exclude_bought) and account_id is None:
        raise invalid("account_id", "missing: whose is to be left out?", place="query")
    left_out = set(exclude or ())
    if account_id is not None:
        left_out |= await _known(services, account_id, seen=exclude_seen, bought=exclude_bought)
    wanted = Wanted(tuple(sorted(left_out)), category, in_stock)
    return await _shared_top(services, limit, cursor, window, wanted)


async def _known(services: Services, account_id: str, *, seen: bool, bought: bool) -> set[str]:
    """Items that the account knows: those that it acted on of late, those that it bought."""
    check_shard(services.shard, [account_id])
    known: set[str] = set()
    if seen:
        known.update(action.item_id for action in await services.signals.recent(account_id))
    if bought:
        known |= (await services.signals.hidden(account_id)).bought
    return known


async def top_products_at_once(request: Request) -> Response | None:
    """The same without the framework; None where the parameters are its to judge."""
    given = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    limit, window = given.pop("limit", str(_USUAL_LIMIT)), given.pop("window", "all")
    cursor = given.pop("cursor", None)
    if given or window not in _WINDOWS or len(cursor or "") > _LONGEST_CURSOR:
        return None
    if _LIMIT.fullmatch(limit) is None or int(limit) > _MOST:
        return None
    return await _shared_top(request.state.services, int(limit), cursor, _WINDOWS[window], ANY_PRODUCT)


async def _shared_top(services: Services, limit: int, cursor: str | None, window: Window, wanted: Wanted) -> Response:
    read = partial(_top, services, limit, cursor, window, wanted)
    return json_body(await services.tops.get((limit, cursor, window, wanted), read))


async def _top(services: Services, limit: int, cursor: str | None, window: Window, wanted: Wanted) -> bytes:
    as_of = datetime.now(UTC)
    first_day = as_of.date() - timedelta(days=_DAYS[window] - 1) if window != "all" else None
    after = None
    if cursor is not None:
        place = _read_place(cursor, window)
        after = AfterProduct(place.score, place.product_id)
        first_day = date.fromisoformat(place.first_day) if place.first_day else None
    if first_day is None:
        found = await services.popularity.top(limit + 1, after, wanted)
    else:
        found = await services.popularity.top_since(first_day, limit + 1, after, wanted)
    items = found[:limit]
    next_cursor = None
    if len(found) > limit:
        last = items[-1]
        day = first_day.isoformat() if first_day else ""
        next_cursor = write_cursor(_Place(window, day, last.score, last.product_id))
    return to_json(
        {
            "items": [_out(one) for one in items],
            "next_cursor": next_cursor,
            "window": window,
            "window_from": first_day,
            "as_of": as_of,
        }
    )


@router.get("/popularity/{product_id:text}", response_model=PopularityOut, responses=problems(404, 422, 503))
async def product_popularity(
    request: Request, product_id: Annotated[str, Path(min_length=1, max_length=MAX_ID)]
) -> Response:
    """One product's score and counters."""
    services: Services = request.state.services
    if "\0" in product_id:
        raise _unknown(product_id)
    found = await services.popularity.of_product(product_id)
    if found is None:
        raise _unknown(product_id)
    return json_response(_out(found))


def _unknown(product_id: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"Nothing that scores was recorded about product {product_id!r}.")


def _read_place(cursor: str, window: Window) -> _Place:
    place = read_cursor(cursor, _Place)
    try:
        fits = place.window == window and (window == "all") == (place.first_day == "")
        if place.first_day:
            date.fromisoformat(place.first_day)
        fits = fits and "\0" not in place.product_id and abs(place.score) < 2**63
    except ValueError:
        fits = False
    if not fits:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The cursor belongs to another window.")
    return place


def _out(one: Popularity) -> dict[str, Any]:
    return {
        "product_id": one.product_id,
        "score": one.score / UNITS_PER_POINT,
        "view_count": one.view_count,
        "purchase_count": one.purchase_count,
        "favorite_count": one.favorite_count,
        "cart_count": one.cart_count,
        "review_count": one.review_count,
        "date_updated": one.date_updated,
    }
