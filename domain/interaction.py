"""An interaction: one thing that one account did, with one product or category."""

from typing import Literal

import msgspec

from domain import frame
from domain.errors import CorruptBlockError

RefType = Literal["Product", "Category"]

PRODUCT: RefType = "Product"
CATEGORY: RefType = "Category"


class Interaction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One recorded interaction, every field already valid.

    As a struct without garbage-collector tracking it is a tenth of a model object in memory and time.
    Fields are stored by position: new ones go to the end, with a default.
    """

    event_id: bytes
    """16 bytes of a UUID."""
    account_id: str
    event_type: str
    ref_type: RefType
    ref_id: str
    occurred_at: int
    """Microseconds since the Unix epoch, UTC."""
    account_number: int | None = None
    session_id: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    metadata: str | None = None
    """A JSON object as compact text: numbers of any size survive, and reads pass it on unparsed."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Interaction]).decode

# The intake log is read once, soon: speed counts there, not the last byte.
_LEVEL = 1


def encode_interactions(interactions: list[Interaction]) -> bytes:
    """Interactions of any accounts, in order, as one frame of the intake log."""
    return frame.pack(len(interactions), _encode(interactions), level=_LEVEL)


def decode_interactions(data: bytes) -> list[Interaction]:
    """The inverse of `encode_interactions`.

    Raises:
        CorruptBlockError: the bytes are truncated, altered or of an unknown version.

    """
    count, payload = frame.unpack(data)
    try:
        interactions = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptBlockError(f"intake row: {error}") from error
    if len(interactions) != count:
        raise CorruptBlockError(f"intake row holds {len(interactions)} interactions, its header says {count}")
    return interactions
