"""Actions: interactions about products as recommendations see them, and what can be known from them at a glance."""

from collections.abc import Collection, Iterable
from decimal import Decimal
from math import isfinite
from operator import attrgetter

import msgspec

from domain.interaction import PRODUCT, Interaction
from domain.metadata import read_metadata

IMPRESSION = "product_impression"
"""What the shop showed, not what the account did: many times as frequent as all else, and no signal of an account."""

BOUGHT = frozenset({"purchase"})
_HIDDEN = frozenset({"hide_item", "report_product"})
_DISLIKED = frozenset({"dislike", "rating_low"})
_NOT_INTERESTED = frozenset({"not_interested"})
_LIKED = frozenset({"like", "add_to_favorites", "rating_high"})
_OPINIONS = _HIDDEN | _DISLIKED | _NOT_INTERESTED | _LIKED

LASTING_TYPES = BOUGHT | _OPINIONS
"""Event types that say what not to recommend: for longer than any other action counts."""

MOST_COUNTED = 2**31 - 1


class Action(msgspec.Struct, frozen=True, gc=False):
    """One thing that an account did with one item; absent fields are None.

    A struct as Interaction is one: an answer reads hundreds.
    """

    account_id: str
    item_id: str
    event_type: str
    occurred_at: int
    """Microseconds since the Unix epoch, UTC."""
    event_id: bytes
    """16 bytes of a UUID."""
    session_id: str | None = None
    recommendation_id: str | None = None
    """The answer that the item came from."""
    position: int | None = None
    """Its place in that answer, from 0; at most MOST_COUNTED."""
    price: float | None = None
    """Of one piece, in the currency that the app sent."""
    quantity: int | None = None
    """At most MOST_COUNTED."""


class Hidden(msgspec.Struct, frozen=True):
    """What an account does not want to see, or has already; ids of items.

    Of several opinions about an item the newest counts: who likes what he once hid sees it again.
    """

    hidden: frozenset[str] = frozenset()
    disliked: frozenset[str] = frozenset()
    not_interested: frozenset[str] = frozenset()
    bought: frozenset[str] = frozenset()

    @property
    def rejected(self) -> frozenset[str]:
        """What its opinions rule out, whatever the rules of the shop say."""
        return self.hidden | self.disliked | self.not_interested


class _Known(msgspec.Struct):
    """What of metadata an action has."""

    recommendation_id: str | None = None
    position: int | None = None
    price: Decimal | None = None
    quantity: int | None = None


_decode_known = msgspec.json.Decoder(_Known).decode
_NOTHING_KNOWN = _Known()

_place = attrgetter("occurred_at", "event_id")


def signal_types(scored: Collection[str]) -> frozenset[str]:
    """The event types that are an account's signals, where these are the scored ones."""
    return (frozenset(scored) | LASTING_TYPES) - {IMPRESSION}


def actions_of(interactions: Iterable[Interaction]) -> list[Action]:
    """Those about products, of whatever type, in the order given."""
    return [_action(one) for one in interactions if one.ref_type == PRODUCT]


def _action(one: Interaction) -> Action:
    known = read_metadata(one.metadata, _decode_known, _NOTHING_KNOWN)
    return Action(
        one.account_id,
        one.ref_id,
        one.event_type,
        one.occurred_at,
        one.event_id,
        one.session_id,
        known.recommendation_id,
        None if known.position is None else min(known.position, MOST_COUNTED),
        None if known.price is None or not isfinite(price := float(known.price)) else price,
        None if known.quantity is None else min(known.quantity, MOST_COUNTED),
    )


def newest_first(actions: Iterable[Action]) -> list[Action]:
    """Of the same moment by event id, descending, as in an account's history."""
    return sorted(actions, key=_place, reverse=True)


def hidden_of(actions: Iterable[Action]) -> Hidden:
    """What these actions of one account say, in whatever order they come."""
    bought: set[str] = set()
    opinions: dict[str, str] = {}
    for one in newest_first(actions):
        if one.event_type in BOUGHT:
            bought.add(one.item_id)
        elif one.event_type in _OPINIONS:
            opinions.setdefault(one.item_id, one.event_type)

    def whose(types: frozenset[str]) -> frozenset[str]:
        return frozenset(item for item, event_type in opinions.items() if event_type in types)

    return Hidden(whose(_HIDDEN), whose(_DISLIKED), whose(_NOT_INTERESTED), frozenset(bought))
