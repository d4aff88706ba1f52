"""What can be read, as values for `get` of either client."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, cast
from urllib.parse import quote
from uuid import UUID

from footfall_client.answers import History, Popularity, Receipt, Recommendations, Top

T = TypeVar("T")

Window = Literal["all", "1d", "7d", "30d"]


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A request that is answered with a `T`."""

    path: str
    answer: Callable[[Any], T]
    params: Mapping[str, Any] = field(default_factory=dict)


def history(
    account_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    event_types: Sequence[str] = (),
    limit: int = 100,
    cursor: str | None = None,
) -> Query[History]:
    """What an account did, newest first; times with a zone. `next_cursor` of one answer is `cursor` of the next."""
    range_ = {"from": since and since.isoformat(), "to": until and until.isoformat()}
    params = _given(range_ | {"event_type": list(event_types) or None, "limit": limit, "cursor": cursor})
    return Query(f"interactions/{_part(account_id)}", lambda found: cast("History", found), params)


def top(*, window: Window = "all", limit: int = 20, cursor: str | None = None) -> Query[Top]:
    """Products by score, highest first."""
    params = _given({"window": window, "limit": limit, "cursor": cursor})
    return Query("popularity/top", lambda found: cast("Top", found), params)


def popularity(product_id: str) -> Query[Popularity]:
    """AnswerError with status 404 where nothing that scores was recorded of it."""
    return Query(f"popularity/{_part(product_id)}", lambda found: cast("Popularity", found))


def recommendations(
    account_id: str,
    *,
    limit: int = 50,
    context: Literal["homepage", "similar"] = "homepage",
    item_id: str | None = None,
) -> Query[Recommendations]:
    """`item_id` is what similar ones are wanted of."""
    params = _given({"limit": limit, "context": context, "item_id": item_id})
    return Query(f"recommendations/{_part(account_id)}", lambda found: cast("Recommendations", found), params)


def receipt(event_id: UUID, *, wait_s: float = 0.0) -> Query[Receipt]:
    """What became of an interaction; answered as soon as it is in every read model, after `wait_s` at the latest."""
    params = {"wait": f"{round(wait_s * 1000)}ms"} if wait_s else {}
    return Query(f"interaction/{event_id}", lambda found: cast("Receipt", found), params)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _part(text: str) -> str:
    """One part of a path, whatever is in it."""
    return quote(text, safe="")
