"""GET /interactions/{account_id}: what an account did, straight from the block store."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime

from api.cursors import read_cursor, write_cursor
from api.parsing import MOST_AHEAD_US, MOST_BACK_US
from api.paths import know_text_in_paths
from api.problems import invalid
from api.responses import json_response, problems
from api.schemas import MAX_HISTORY, MAX_ID, EventType, HistoryOut
from api.services import Services
from api.sharding import check_shard
from domain.readable import readable
from domain.week import WEEKS_KEPT, to_us
from intake.ledger import now_us
from store.blocks.history import HistoryRange, read_history

know_text_in_paths()
router = APIRouter(tags=["interactions"])


class _Place(NamedTuple):
    from_us: int
    to_us: int
    occurred_at: int
    event_id: bytes


@router.get("/interactions/{account_id:text}", response_model=HistoryOut, responses=problems(421, 422, 503))
async def account_interactions(
    request: Request,
    account_id: Annotated[str, Path(min_length=1, max_length=MAX_ID)],
    from_: Annotated[AwareDatetime | None, Query(alias="from", description="RFC 3339; 24 weeks back.")] = None,
    to: Annotated[AwareDatetime | None, Query(description="RFC 3339, excluded; now.")] = None,
    event_type: Annotated[list[EventType] | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_HISTORY)] = 100,
    cursor: Annotated[str | None, Query(max_length=1_024)] = None,
) -> Response:
    """What an account did, newest first."""
    services: Services = request.state.services
    check_shard(services.shard, [account_id])
    place = None if cursor is None else read_cursor(cursor, _Place)
    if place is None:
        from_us_, to_us_ = _range(from_, to)
        before = None
    else:
        from_us_, to_us_ = place.from_us, place.to_us
        before = (place.occurred_at, place.event_id)
    wanted = HistoryRange(from_us_, to_us_, frozenset(event_type or ()), before)
    found = await read_history(services.blocks, account_id, wanted, limit + 1)
    more = len(found) > limit
    items = found[:limit]
    next_cursor = None
    if more:
        last = items[-1]
        next_cursor = write_cursor(_Place(from_us_, to_us_, last.occurred_at, last.event_id))
    body: dict[str, Any] = {
        "items": readable(items),
        "next_cursor": next_cursor,
        "truncated": more and limit == MAX_HISTORY,
    }
    return json_response(body)


def _range(from_: datetime | None, to: datetime | None) -> tuple[int, int]:
    """The range in microseconds; without `to` it takes in what the front door accepts as just ahead of now."""
    now = now_us()
    if to is not None and to_us(to) > now:
        raise invalid("to", "in the future", place="query")
    end = now + MOST_AHEAD_US if to is None else to_us(to)
    start = min(end, now) - MOST_BACK_US if from_ is None else to_us(from_)
    if start >= end:
        raise invalid("from", "not before `to`", place="query")
    if min(end, now) - start > MOST_BACK_US:
        raise invalid("from", f"over {WEEKS_KEPT} weeks before `to`", place="query")
    return start, end
