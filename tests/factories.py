"""Interactions for tests; every argument is a field, with a plain default."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain.interaction import Interaction
from domain.week import date_of, day_of, to_us
from intake.log import NewInteraction


def now_us() -> int:
    return to_us(datetime.now(UTC))


def interaction(**fields: Any) -> Interaction:
    given: dict[str, Any] = {
        "event_id": uuid4().bytes,
        "account_id": "alice",
        "event_type": "view",
        "ref_type": "Product",
        "ref_id": "cup",
        "occurred_at": now_us(),
        **fields,
    }
    return Interaction(**given)


def new_interaction(**fields: Any) -> NewInteraction:
    """One whose day is that of its time."""
    one = interaction(**fields)
    return NewInteraction(one, date_of(day_of(one.occurred_at)))


def undated(event_id: UUID) -> NewInteraction:
    """One with an id of the client's and no time."""
    return NewInteraction(interaction(event_id=event_id.bytes), None)


def body(**fields: Any) -> dict[str, Any]:
    """An interaction as an app sends it."""
    return {"account_id": "alice", "event_type": "view", "ref_type": "Product", "ref_id": "cup", **fields}


def some_interactions(
    count: int, *, seed: int = 1, account_id: Callable[[int], str] = "a{}".format
) -> list[Interaction]:
    """A reproducible mix of accounts, types and products, over the last days."""
    picker = random.Random(seed)
    start = now_us()
    return [
        interaction(
            event_id=picker.randbytes(16),
            account_id=account_id(picker.randrange(20)),
            event_type=picker.choice(["view", "purchase", "add_to_cart", "rating_low", "unheard_of"]),
            ref_type=picker.choice(["Product", "Product", "Category"]),
            ref_id=f"p{picker.randrange(30)}",
            occurred_at=start - picker.randrange(5 * 86_400_000_000),
        )
        for _ in range(count)
    ]
