"""Gives valid interactions what the front door adds: ids, time, client, and the ledger's day."""

from dataclasses import dataclass

from api.parsing import metadata_text
from api.schemas import InteractionIn
from domain.ids import derive_id, new_id_bytes
from domain.interaction import Interaction
from domain.week import to_us
from intake.ledger import LedgerDays
from intake.log import NewInteraction

LONGEST_USER_AGENT = 512


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all interactions of one request share."""

    now_us: int
    idempotency_key: str | None
    user_agent: str | None
    ip_address: str | None


def stamp(one: InteractionIn, index: int, shared: Stamp, days: LedgerDays) -> NewInteraction:
    """`index` is the interaction's place in the request: equal ones under one Idempotency-Key stay two."""
    occurred_at = shared.now_us if one.occurred_at is None else to_us(one.occurred_at)
    event_id, own = _event_id(one, index, shared.idempotency_key)
    interaction = interaction_of(one, event_id, occurred_at, shared.user_agent, shared.ip_address)
    if own or one.occurred_at is not None:
        return days.file(interaction, shared.now_us)
    return NewInteraction(interaction, None)


def interaction_of(
    one: InteractionIn,
    event_id: bytes,
    occurred_at: int,
    user_agent: str | None = None,
    ip_address: str | None = None,
) -> Interaction:
    """`event_id` is 16 bytes, `occurred_at` in microseconds since the Unix epoch."""
    return Interaction(
        event_id,
        one.account_id,
        one.event_type,
        one.ref_type,
        one.ref_id,
        occurred_at,
        one.account_number,
        one.session_id,
        user_agent,
        ip_address,
        None if one.metadata is None else metadata_text(one.metadata),
    )


def _event_id(one: InteractionIn, index: int, idempotency_key: str | None) -> tuple[bytes, bool]:
    """The id, and whether it was made just now and so can't have come before."""
    if one.event_id is not None:
        return one.event_id.bytes, False
    if idempotency_key is None:
        return new_id_bytes(), True
    content = one.model_dump_json(exclude_unset=True)
    return derive_id(b"Idempotency-Key", idempotency_key.encode(), str(index).encode(), content.encode()), False
