"""Interactions as readers get them, in JSON."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from domain.ids import id_texts
from domain.interaction import Interaction
from domain.week import all_from_us


class ReadableInteraction(msgspec.Struct, omit_defaults=True):
    """Absent fields are left out."""

    event_id: str
    account_id: str
    event_type: str
    ref_type: str
    ref_id: str
    occurred_at: datetime
    account_number: int | None = None
    session_id: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    metadata: msgspec.Raw | None = None


def readable(interactions: Sequence[Interaction]) -> list[ReadableInteraction]:
    """All at once: ids and times take far longer one by one."""
    ids = id_texts([one.event_id for one in interactions])
    times = all_from_us([one.occurred_at for one in interactions])
    return [
        ReadableInteraction(
            event_id,
            one.account_id,
            one.event_type,
            one.ref_type,
            one.ref_id,
            occurred_at,
            one.account_number,
            one.session_id,
            one.user_agent,
            one.ip_address,
            None if one.metadata is None else msgspec.Raw(one.metadata.encode()),
        )
        for event_id, occurred_at, one in zip(ids, times, interactions, strict=True)
    ]
