"""What the server answers, as JSON. Made of its OpenAPI document by tests/clients/answers.py."""

from typing import Any, Literal, NotRequired, TypedDict


class RecordedInteraction(TypedDict):
    event_id: str
    account_id: str
    account_number: NotRequired[int | None]
    session_id: NotRequired[str | None]
    event_type: str
    ref_type: Literal["Product", "Category"]
    ref_id: str
    occurred_at: str
    metadata: NotRequired[dict[str, Any] | None]
    user_agent: NotRequired[str | None]
    ip_address: NotRequired[str | None]


class History(TypedDict):
    items: list[RecordedInteraction]
    next_cursor: NotRequired[str | None]
    truncated: bool
    """True when the cap of 2,000 an answer cut the range short."""


class Popularity(TypedDict):
    product_id: str
    score: float
    view_count: int
    purchase_count: int
    favorite_count: int
    cart_count: int
    review_count: int
    date_updated: str


class Top(TypedDict):
    items: list[Popularity]
    next_cursor: NotRequired[str | None]
    window: Literal["all", "1d", "7d", "30d"]
    window_from: str | None
    """The first UTC day that counts; null for all time."""
    as_of: str


class Reason(TypedDict):
    kind: str
    text: str
    """As "because you viewed p17"."""
    item_id: NotRequired[str | None]
    """What the account did something with."""
    category: NotRequired[str | None]


class Recommended(TypedDict):
    item_id: str
    score: float
    """0 to 1 on the rung `ranked`; larger is better on all."""
    source: str
    """Which candidates it was among."""
    reason: NotRequired[Reason | None]


class Recommendations(TypedDict):
    recommendation_id: str
    """To be sent back in the metadata of events that come of it."""
    account_id: str
    context: Literal["homepage", "similar"]
    items: list[Recommended]
    rung: Literal["ranked", "candidates", "defaults", "precomputed", "popular", "memory"]
    """What the answer stands on."""
    model_version: str | None
    computed_at: str | None
    """When it was made, where that was not now."""
    last_action_at: str | None
    """The newest action of the account that it knows of."""
    outdated: bool
    """It was made ahead, and the account has acted since."""


class FanOut(TypedDict):
    state: Literal["waiting", "done", "parked", "quarantined", "discarded"]
    reason: NotRequired[str | None]
    """Why it is parked, in quarantine, or was discarded by an operator."""
    parked_at: NotRequired[str | None]
    quarantined: NotRequired[int | None]
    """How many interactions of the batch it can't apply."""


class Receipt(TypedDict):
    event_id: str
    accepted_at: str
    batch_id: str | None
    """The batch that carries it; null once it is released."""
    state: Literal["waiting", "done", "parked", "quarantined", "discarded"]
    fan_outs: dict[str, FanOut]
