"""PUT, GET and DELETE of /items and /users: the catalog."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime

from api.bodies import Body, Look, Oddity, odd_values, unprocessable
from api.catalog_schemas import (
    MAX_CATEGORY,
    MOST_AT_ONCE,
    ItemIn,
    ItemOut,
    ItemsIn,
    ItemsOut,
    ProfileIn,
    ProfileOut,
    ProfilesIn,
    StoredOut,
)
from api.cursors import read_cursor, write_cursor
from api.parsing import AHEAD, MOST_AHEAD_US
from api.paths import know_text_in_paths
from api.problems import Problem, fault, pointer
from api.reading import JSON, media_type, read_body
from api.responses import json_response, problems
from api.schemas import MAX_ID
from api.services import Services
from api.sharding import check_shard
from domain.catalog import Item, NewItem, NewProfile, Profile
from domain.week import from_us, to_us
from intake.ledger import now_us
from store.catalog import AfterChange

know_text_in_paths()
router = APIRouter(tags=["catalog"])

_FIRST_US, _LAST_US = to_us(datetime(1, 1, 2, tzinfo=UTC)), to_us(datetime(9999, 12, 30, tzinfo=UTC))
"""The moments that PostgreSQL, Python and every time zone have."""

_M = TypeVar("_M", ItemIn, ProfileIn)

_Id = Annotated[str, Path(min_length=1, max_length=MAX_ID)]


def _oddities(one: ItemIn | ProfileIn, look: Look) -> Iterator[Oddity]:
    if one.created_at is not None:
        created_at_us = to_us(one.created_at)
        if created_at_us > look.now_us + MOST_AHEAD_US:
            yield ["created_at"], AHEAD
        elif created_at_us < _FIRST_US:
            yield ["created_at"], "before the year 1"
    if look.for_nul:
        yield from odd_values(one.model_dump(), [])


ITEMS: Body[ItemIn] = Body("items", ItemIn, ItemsIn, _oddities)
PROFILES: Body[ProfileIn] = Body("users", ProfileIn, ProfilesIn, _oddities)


@router.put(
    "/items",
    response_model=StoredOut,
    responses=problems(400, 413, 415, 422, 503),
    openapi_extra={"requestBody": ITEMS.openapi},
)
async def put_items(request: Request) -> Response:
    """Store 1 to 1,000 items, each in the place of what was known. Sent again they change nothing."""
    services: Services = request.state.services
    sent = await _sent(request, ITEMS, "item_id")
    await services.catalog.put_items([_new_item(one) for one in sent])
    return json_response({"stored": len(sent)})


@router.get("/items", response_model=ItemsOut, responses=problems(422, 503))
async def changed_items(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 100,
    cursor: Annotated[str | None, Query(max_length=1_024)] = None,
    category: Annotated[str | None, Query(min_length=1, max_length=MAX_CATEGORY)] = None,
    changed_since: Annotated[
        AwareDatetime | None,
        Query(description="Items changed after this moment. To follow the catalog: the last `changed_at` so far."),
    ] = None,
) -> Response:
    """Items in the order of their latest changes, deleted ones included; one that changes meanwhile comes again."""
    services: Services = request.state.services
    after = None
    if cursor is not None:
        after = _read_place(cursor, category)
    elif changed_since is not None:
        after = AfterChange(_behind(changed_since), "")
    known = category is None or "\0" not in category
    found = await services.catalog.changed_items(limit + 1, after, category=category) if known else []
    items = found[:limit]
    next_cursor = None
    if len(found) > limit:
        last = items[-1]
        next_cursor = write_cursor(_Place(category, last.changed_at_us, last.item_id))
    return json_response({"items": [_out(one) for one in items], "next_cursor": next_cursor})


@router.get("/items/{item_id:text}", response_model=ItemOut, responses=problems(404, 422, 503))
async def item(request: Request, item_id: _Id) -> Response:
    """One item as the catalog has it."""
    services: Services = request.state.services
    found = None if "\0" in item_id else await services.catalog.item(item_id)
    if found is None:
        raise _unknown("item", item_id)
    return json_response(_out(found))


@router.delete("/items/{item_id:text}", status_code=HTTPStatus.NO_CONTENT, responses=problems(404, 422, 503))
async def delete_item(request: Request, item_id: _Id) -> Response:
    """Mark an item as deleted. It is still known, and not active, until it is PUT again."""
    services: Services = request.state.services
    if "\0" in item_id or not await services.catalog.delete_item(item_id):
        raise _unknown("item", item_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.put(
    "/users",
    response_model=StoredOut,
    responses=problems(400, 413, 415, 421, 422, 503),
    openapi_extra={"requestBody": PROFILES.openapi},
)
async def put_profiles(request: Request) -> Response:
    """Store 1 to 1,000 profiles, each in the place of what was known. Sent again they change nothing."""
    services: Services = request.state.services
    sent = await _sent(request, PROFILES, "account_id")
    check_shard(services.shard, (one.account_id for one in sent))
    await services.catalog.put_profiles([_new_profile(one) for one in sent])
    return json_response({"stored": len(sent)})


@router.get("/users/{account_id:text}", response_model=ProfileOut, responses=problems(404, 421, 422, 503))
async def profile(request: Request, account_id: _Id) -> Response:
    """What the catalog has of one account."""
    services: Services = request.state.services
    check_shard(services.shard, [account_id])
    found = None if "\0" in account_id else await services.catalog.profile(account_id)
    if found is None:
        raise _unknown("profile of account", account_id)
    return json_response(_out(found))


@router.delete("/users/{account_id:text}", status_code=HTTPStatus.NO_CONTENT, responses=problems(404, 421, 422, 503))
async def delete_profile(request: Request, account_id: _Id) -> Response:
    """Mark a profile as deleted, until it is PUT again. What the account did stays."""
    services: Services = request.state.services
    check_shard(services.shard, [account_id])
    if "\0" in account_id or not await services.catalog.delete_profile(account_id):
        raise _unknown("profile of account", account_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _sent(request: Request, body: Body[_M], id_name: str) -> list[_M]:
    """All that was sent.

    Raises:
        Problem: anything is wrong with any of it.

    """
    media_type(request, JSON)
    parsed = body.parse(await read_body(request), now_us())
    if parsed.faults:
        raise unprocessable(parsed.faults)
    sent = [one for _, one in parsed.valid]
    first: dict[str, int] = {}
    twice = [
        fault(pointer([body.name, index, id_name]), "twice in this request", index=index)
        for index, one in enumerate(sent)
        if first.setdefault(getattr(one, id_name), index) != index
    ]
    if twice:
        raise unprocessable(twice)
    return sent


class _Place(NamedTuple):
    category: str | None
    changed_at_us: int
    item_id: str


def _read_place(cursor: str, category: str | None) -> AfterChange:
    place = read_cursor(cursor, _Place)
    if place.category != category or "\0" in place.item_id or not _FIRST_US <= place.changed_at_us <= _LAST_US:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The cursor belongs to another category.")
    return AfterChange(from_us(place.changed_at_us), place.item_id)


def _behind(moment: datetime) -> datetime:
    """The next microsecond, or the nearest moment to it that there is."""
    return from_us(min(max(to_us(moment) + 1, _FIRST_US), _LAST_US))


def _unknown(what: str, known_as: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"The catalog has no {what} {known_as!r}.")


def _new_item(one: ItemIn) -> NewItem:
    return NewItem(
        item_id=one.item_id,
        title=one.title,
        description=one.description,
        category=one.category,
        subcategory=one.subcategory,
        tags=tuple(one.tags),
        price=None if one.price is None else Decimal(one.price),
        currency=one.currency,
        is_active=one.is_active,
        in_stock=one.in_stock,
        created_at_us=None if one.created_at is None else to_us(one.created_at),
    )


def _new_profile(one: ProfileIn) -> NewProfile:
    return NewProfile(
        account_id=one.account_id,
        preferred_categories=tuple(one.preferred_categories),
        language=one.language,
        country=one.country,
        created_at_us=None if one.created_at is None else to_us(one.created_at),
    )


def _out(one: Item | Profile) -> dict[str, Any]:
    """As JSON, without what is absent; times under names without their unit."""
    return {
        name.removesuffix("_us"): from_us(value) if name.endswith("_us") else value
        for name, value in msgspec.structs.asdict(one).items()
        if value is not None
    }
