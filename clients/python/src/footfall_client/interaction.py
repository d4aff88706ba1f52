"""An interaction as an app sees it, and as it is sent."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import UUID

from footfall_client.errors import InvalidInteractionError

RefType = Literal["Product", "Category"]

EventType = Literal[
    "purchase",
    "add_to_favorites",
    "checkout_started",
    "add_to_cart",
    "write_review",
    "rating_high",
    "like",
    "view",
    "ask_question",
    "click_from_search",
    "click_from_recommendation",
    "view_similar_products",
    "click_from_category",
    "rating_medium",
    "product_impression",
    "view_bounce",
    "not_interested",
    "remove_from_cart",
    "hide_item",
    "rating_low",
    "dislike",
    "return_product",
    "cancel_order",
    "refund_requested",
    "report_product",
]
"""The types that have a weight in popularity. Any other one is recorded too."""

JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Metadata: TypeAlias = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One thing that one account did, with one product or category."""

    account_id: str
    event_type: EventType | str
    ref_id: str
    ref_type: RefType = "Product"
    account_number: int | None = None
    session_id: str | None = None
    metadata: Metadata | None = None
    """At most 4 KiB as JSON. price, quantity, currency, seller_id, order_id, recommendation_id and position have a
    meaning, and must be of its type."""
    occurred_at: datetime | None = None
    """With a time zone; the moment of `record` when None."""
    event_id: UUID | None = None
    """By it the server knows what it has; made by `record` when None."""


def view(
    account_id: str,
    product_id: str,
    *,
    session_id: str | None = None,
    recommendation_id: str | None = None,
    position: int | None = None,
) -> Interaction:
    """`position`, from 0, is the product's in the list that it was chosen from."""
    known = _given(recommendation_id=recommendation_id, position=position)
    return _of(account_id, "view", product_id, session_id, known)


def add_to_cart(
    account_id: str,
    product_id: str,
    *,
    session_id: str | None = None,
    quantity: int | None = None,
    recommendation_id: str | None = None,
) -> Interaction:
    known = _given(quantity=quantity, recommendation_id=recommendation_id)
    return _of(account_id, "add_to_cart", product_id, session_id, known)


def purchase(
    account_id: str,
    product_id: str,
    *,
    price: Decimal | str | None = None,
    currency: str | None = None,
    quantity: int | None = None,
    order_id: str | None = None,
    seller_id: str | None = None,
    session_id: str | None = None,
    recommendation_id: str | None = None,
) -> Interaction:
    """`currency` by ISO 4217."""
    known = _given(
        price=None if price is None else _decimal(price),
        currency=currency,
        quantity=quantity,
        order_id=order_id,
        seller_id=seller_id,
        recommendation_id=recommendation_id,
    )
    return _of(account_id, "purchase", product_id, session_id, known)


def _decimal(price: Decimal | str) -> str:
    return f"{price:f}" if isinstance(price, Decimal) else price


def _given(**known: JsonValue) -> dict[str, JsonValue]:
    return {name: value for name, value in known.items() if value is not None}


def _of(
    account_id: str, event_type: EventType, product_id: str, session_id: str | None, known: dict[str, JsonValue]
) -> Interaction:
    return Interaction(
        account_id=account_id,
        event_type=event_type,
        ref_id=product_id,
        session_id=session_id,
        metadata=known or None,
    )


def stamped(one: Interaction) -> Interaction:
    """With an id and a time of its own, which it keeps however often it is sent."""
    if one.event_id is not None and one.occurred_at is not None:
        return one
    return replace(one, event_id=one.event_id or new_id(), occurred_at=one.occurred_at or datetime.now(UTC))


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encoded(one: Interaction) -> bytes:
    """As JSON, of one that is stamped.

    Raises:
        InvalidInteractionError: a value that JSON has no form for, or a time without a zone.

    """
    if one.occurred_at is None or one.event_id is None:
        raise InvalidInteractionError("not stamped")
    if one.occurred_at.tzinfo is None:
        raise InvalidInteractionError("occurred_at has no time zone")
    fields: dict[str, Any] = {
        "event_id": str(one.event_id),
        "account_id": one.account_id,
        "event_type": one.event_type,
        "ref_type": one.ref_type,
        "ref_id": one.ref_id,
        "occurred_at": one.occurred_at.isoformat(),
    }
    for name in ("account_number", "session_id", "metadata"):
        value = getattr(one, name)
        if value is not None:
            fields[name] = value
    try:
        return _encode(fields).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInteractionError(str(error)) from error


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7), which Python has from 3.14 only."""
    drawn = int.from_bytes(os.urandom(10), "big")
    version_and_a = 0x7000 | (drawn >> 62) & 0x0FFF
    variant_and_b = 1 << 63 | drawn & (1 << 62) - 1
    return UUID(int=(time.time_ns() // 1_000_000) << 80 | version_and_a << 64 | variant_and_b)
