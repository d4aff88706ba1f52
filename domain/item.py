"""An interaction as readers get it, in JSON."""

from datetime import datetime

import msgspec

from domain.ids import id_text
from domain.interaction import Interaction
from domain.week import from_us


class Item(msgspec.Struct, omit_defaults=True):
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


def item_of(one: Interaction) -> Item:
    return Item(
        id_text(one.event_id),
        one.account_id,
        one.event_type,
        one.ref_type,
        one.ref_id,
        from_us(one.occurred_at),
        one.account_number,
        one.session_id,
        one.user_agent,
        one.ip_address,
        None if one.metadata is None else msgspec.Raw(one.metadata.encode()),
    )
