"""POST /feedback: what an account thinks of an item, recorded as the interaction that it is."""

from collections.abc import Iterator
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from api.bodies import Body, Look, Oddity, Parsed, odd_values
from api.own import claimed
from api.parsing import odd_time
from api.recording import ANSWERS, PARAMETERS, record
from api.schemas import MAX_ID, MAX_INTERACTIONS, Id, InteractionIn
from domain.event_types import rating_type
from domain.interaction import PRODUCT
from domain.week import to_us

router = APIRouter(tags=["interactions"])

Kind = Literal["like", "dislike", "not_interested", "rating"]
"""All but ratings are event types by this name."""

_Text = Annotated[str, StringConstraints(max_length=MAX_ID)]
_TEXTS = {"account_id", "item_id", "recommendation_id", "session_id"}


class FeedbackIn(BaseModel):
    """What one account thinks of one item."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {"account_id": "alice", "item_id": "espresso-cup", "kind": "rating", "rating": 5}
        },
    )

    event_id: UUID | None = Field(None, description="Your own id makes sending again safe. Absent: one is made.")
    account_id: Id = Field(description="May be left out by an account's own token, which says it.")
    item_id: Id = Field(description="What interactions call ref_id; it need not be in the catalog.")
    kind: Kind
    rating: Annotated[int, Field(ge=1, le=5)] | None = Field(
        None, description="Where kind is rating: 4 and 5 become rating_high, 3 rating_medium, 1 and 2 rating_low."
    )
    recommendation_id: _Text | None = Field(None, description="Of the answer that showed the item.")
    session_id: _Text | None = None
    occurred_at: AwareDatetime | None = Field(None, description="As in POST /interaction.")


class FeedbacksIn(BaseModel):
    """Feedback of up to 1,000, recorded all or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    feedback: Annotated[list[FeedbackIn], Field(min_length=1, max_length=MAX_INTERACTIONS)]


class OwnFeedbackIn(FeedbackIn):
    """What the caller's own account thinks of one item."""

    account_id: Id | None = None  # type: ignore[assignment]  # it is given one before anybody else sees it


class OwnFeedbacksIn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    feedback: Annotated[list[OwnFeedbackIn], Field(min_length=1, max_length=MAX_INTERACTIONS)]


def _oddities(one: FeedbackIn, look: Look) -> Iterator[Oddity]:
    if (one.kind == "rating") != (one.rating is not None):
        yield ["rating"], "needed where kind is rating" if one.rating is None else "only where kind is rating"
    if one.occurred_at is not None:
        yield from odd_time(to_us(one.occurred_at), look.now_us)
    if look.for_nul:
        yield from odd_values(one.model_dump(include=_TEXTS), [])


FEEDBACK = Body("feedback", FeedbackIn, FeedbacksIn, _oddities)
_OWN_FEEDBACK = Body("feedback", OwnFeedbackIn, OwnFeedbacksIn, _oddities)


def _read(body: bytes, now_us: int) -> Parsed[InteractionIn]:
    return FEEDBACK.parse(body, now_us).turned(_interaction)


def _read_own(body: bytes, now_us: int, account_id: str) -> Parsed[InteractionIn]:
    return claimed(_OWN_FEEDBACK.parse(body, now_us), account_id).turned(_interaction)


def _interaction(one: FeedbackIn) -> InteractionIn:
    """The rating itself is kept as well, in the metadata: an event type tells only high from low."""
    given: dict[str, JsonValue] = {"rating": one.rating, "recommendation_id": one.recommendation_id}
    return InteractionIn(
        event_id=one.event_id,
        account_id=one.account_id,
        session_id=one.session_id,
        event_type=one.kind if one.rating is None else rating_type(one.rating),
        ref_type=PRODUCT,
        ref_id=one.item_id,
        occurred_at=one.occurred_at,
        metadata={key: value for key, value in given.items() if value is not None} or None,
    )


@router.post("/feedback", **ANSWERS, openapi_extra={"parameters": PARAMETERS, "requestBody": FEEDBACK.openapi})
async def record_feedback(request: Request) -> Response:
    """Record what accounts think of items. It becomes interactions, and 202 means what it means for these."""
    return await record(request, _read, _read_own)
