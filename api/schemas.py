"""The bodies of the interface: what POST /interaction takes, and what the routes answer."""

import re
import sys
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.functional_validators import AfterValidator, BeforeValidator
from typing_extensions import TypedDict

from api.event_names import event_type_of
from domain.currency import CURRENCIES
from domain.event_names import EVENT_TYPE_PATTERN, MAX_EVENT_TYPE
from domain.interaction import RefType
from domain.recommendations import Context, Rung

MAX_INTERACTIONS = 1_000
MAX_LINES = 10_000
MAX_METADATA_BYTES = 4_096
MAX_HISTORY = 2_000
MAX_ID = 128

_INT64 = 2**63
_MOST_PRICE = sys.float_info.max  # JSON has integers that are too large for any arithmetic with fractions
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")

Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]
EventType = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_EVENT_TYPE, pattern=EVENT_TYPE_PATTERN),
    BeforeValidator(event_type_of),
]


def known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("not an ISO 4217 currency code")
    return code


def _price(price: object) -> object:
    if isinstance(price, str) and _DECIMAL.fullmatch(price):
        return price
    if isinstance(price, int | float) and not isinstance(price, bool) and abs(price) <= _MOST_PRICE:
        return price
    raise ValueError("not a decimal string or a number")


class KnownMetadata(TypedDict, total=False):
    """The keys of `metadata` that have a meaning; other keys are kept as they come."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]  # how pydantic configures a TypedDict

    price: Annotated[Any, AfterValidator(_price), WithJsonSchema({"type": ["string", "number"]})]
    quantity: Annotated[int, Field(ge=1)]
    currency: Annotated[str, AfterValidator(known_currency)]
    seller_id: str
    order_id: str
    recommendation_id: str
    position: Annotated[int, Field(ge=0)]


class InteractionIn(BaseModel):
    """One thing that one account did, with one product or category."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {
                "account_id": "alice",
                "event_type": "view",
                "ref_type": "Product",
                "ref_id": "espresso-cup",
                "metadata": {"price": "12.50", "currency": "EUR"},
            }
        },
    )

    event_id: UUID | None = Field(None, description="Your own id makes sending again safe. Absent: one is made.")
    account_id: Id = Field(description="May be left out by an account's own token, which says it.")
    account_number: Annotated[int, Field(ge=-_INT64, lt=_INT64)] | None = None
    session_id: Annotated[str, StringConstraints(max_length=MAX_ID)] | None = None
    event_type: EventType = Field(description="Any type is kept; those with a weight move popularity.")
    ref_type: RefType
    ref_id: Id
    occurred_at: AwareDatetime | None = Field(
        None, description="RFC 3339; now when absent. Not over 5 minutes ahead, not over 24 weeks back."
    )
    metadata: dict[str, JsonValue] | None = Field(
        None,
        description=f"At most {MAX_METADATA_BYTES} bytes as JSON; keys with a meaning must have its type.",
    )


class InteractionsIn(BaseModel):
    """Up to 1,000 interactions, recorded all or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    interactions: Annotated[list[InteractionIn], Field(min_length=1, max_length=MAX_INTERACTIONS)]


class OwnInteractionIn(InteractionIn):
    """One thing that the caller's own account did."""

    account_id: Id | None = None  # type: ignore[assignment]  # it is given one before anybody else sees it


class OwnInteractionsIn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    interactions: Annotated[list[OwnInteractionIn], Field(min_length=1, max_length=MAX_INTERACTIONS)]


class RejectedOut(BaseModel):
    index: int
    line: int | None = Field(None, description="Of an NDJSON body, counted from 1.")
    pointer: str
    reason: str


class AcceptedOut(BaseModel):
    """The interactions are committed and will be in every read model exactly once."""

    accepted: int
    duplicates: int = Field(
        description="Known already, twice in this request, or of before their account was erased; accepted + "
        "duplicates = sent."
    )
    rejected: int | None = Field(None, description="Only with partial=true: how many of those sent were invalid.")
    event_ids: list[UUID] = Field(description="In the order sent, without the rejected ones.")
    batch_id: UUID | None = Field(description="The id of the workflow that carries them; null when none was new.")
    errors: list[RejectedOut] | None = Field(None, description="Only with partial=true.")


class InteractionOut(BaseModel):
    """A recorded interaction; fields that it does not have are left out."""

    event_id: UUID
    account_id: str
    account_number: int | None = None
    session_id: str | None = None
    event_type: str
    ref_type: RefType
    ref_id: str
    occurred_at: AwareDatetime
    metadata: dict[str, Any] | None = None
    user_agent: str | None = None
    ip_address: str | None = None


class HistoryOut(BaseModel):
    items: list[InteractionOut]
    next_cursor: str | None = None
    truncated: bool = Field(description="True when the cap of 2,000 an answer cut the range short.")


class PopularityOut(BaseModel):
    product_id: str
    score: float
    view_count: int
    purchase_count: int
    favorite_count: int
    cart_count: int
    review_count: int
    date_updated: AwareDatetime


class TopOut(BaseModel):
    items: list[PopularityOut]
    next_cursor: str | None = None
    window: Literal["all", "1d", "7d", "30d"]
    window_from: str | None = Field(description="The first UTC day that counts; null for all time.")
    as_of: AwareDatetime


class ReasonOut(BaseModel):
    kind: str
    text: str = Field(description='As "because you viewed p17".')
    item_id: str | None = Field(None, description="What the account did something with.")
    category: str | None = None


class RecommendedOut(BaseModel):
    item_id: str
    score: float = Field(description="0 to 1 on the rung `ranked`; larger is better on all.")
    source: str = Field(description="Which candidates it was among.")
    reason: ReasonOut | None = None


class RecommendationsOut(BaseModel):
    recommendation_id: UUID = Field(description="To be sent back in the metadata of events that come of it.")
    account_id: str
    context: Context
    items: list[RecommendedOut]
    rung: Rung = Field(description="What the answer stands on.")
    model_version: str | None
    computed_at: AwareDatetime | None = Field(description="When it was made, where that was not now.")
    last_action_at: AwareDatetime | None = Field(description="The newest action of the account that it knows of.")
    outdated: bool = Field(description="It was made ahead, and the account has acted since.")


FanOutState = Literal["waiting", "done", "parked", "quarantined", "discarded"]


class FanOutOut(BaseModel):
    state: FanOutState
    reason: str | None = Field(None, description="Why it is parked, in quarantine, or was discarded by an operator.")
    parked_at: AwareDatetime | None = None
    quarantined: int | None = Field(None, description="How many interactions of the batch it can't apply.")


class EventReceiptOut(BaseModel):
    event_id: UUID
    accepted_at: AwareDatetime
    batch_id: UUID | None = Field(description="The batch that carries it; null once it is released.")
    state: FanOutState
    fan_outs: dict[str, FanOutOut]


class BatchReceiptOut(BaseModel):
    batch_id: UUID
    carried_by: UUID = Field(description="Another batch where the sweeper moved this one's interactions.")
    accepted_at: AwareDatetime
    events: int
    state: FanOutState
    fan_outs: dict[str, FanOutOut]


class CheckOut(BaseModel):
    ok: bool
    latency_ms: float
    error: str | None = None


class ReadyOut(BaseModel):
    ready: bool
    leaving: bool = Field(description="Whether it was told to end, and serves on until requests go elsewhere.")
    dependencies: dict[str, CheckOut]
