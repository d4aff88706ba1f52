"""BharatML's clicks and orders as interactions, and back.

A click is a `view` of a product, an order a `purchase` of one. The product's id is its number as decimal text. What
has no field of its own is in metadata: `catalog_id`, the sub_order_num as `order_id`, and BharatML's own metadata,
which is any text, under `bharatml_metadata`, so that it comes back to the letter. Where that text is a JSON object,
those of its keys that have a meaning here stand beside it too, if they have a valid value.

There are no event ids: one is derived from all that is sent, so what is sent again is known. So two events of which
every field is the same are one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from api.bodies import NO_NUL, Fault, unprocessable
from api.parsing import MOST_AHEAD_US, MOST_BACK_US, metadata_text, odd_time
from api.problems import fault
from api.schemas import MAX_ID, MAX_INTERACTIONS, MAX_METADATA_BYTES, KnownMetadata
from domain.ids import derive_id
from domain.interaction import PRODUCT, Interaction
from doors.bharatml.interaction_store_pb2 import ClickData, OrderData

CLICK_TYPE = "view"
ORDER_TYPE = "purchase"

TEXT_KEY = "bharatml_metadata"
"""The key of metadata that holds BharatML's, as text."""

_MS_US = 1_000
_INT32 = 2**31
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,9}")
_PRODUCTS_REMEMBERED = 10_000
_MOST_BYTES_A_CHARACTER = 4
_SURELY_SHORT = MAX_METADATA_BYTES // _MOST_BYTES_A_CHARACTER
_KNOWN = TypeAdapter(KnownMetadata)
_LIFTED = sorted(KnownMetadata.__annotations__.keys() - {"order_id"})  # that one is the sub_order_num
_HAS_LIFTED = re.compile("|".join(f'"{key}"' for key in _LIFTED)).search


class _Sent(NamedTuple):
    catalog_id: int
    product_id: int
    sub_order_num: str
    timestamp: int
    """Milliseconds since the Unix epoch."""
    metadata: str


class _Kept(msgspec.Struct):
    """What of an interaction's metadata is an event's; of whatever type, as others write metadata too."""

    catalog_id: Any = 0
    order_id: Any = ""
    bharatml_metadata: Any = None


_decode_kept = msgspec.json.Decoder(_Kept).decode


def of_clicks(user_id: str, clicks: Sequence[ClickData], now_us: int) -> list[Interaction]:
    """Clicks of one user, in order, as interactions. `now_us` in microseconds since the Unix epoch.

    Raises:
        Problem: 422 with each fault and its field. None of them is to be recorded.

    """
    sent = [(one.catalog_id, one.product_id, "", one.timestamp, one.metadata) for one in clicks]
    return _interactions(user_id, CLICK_TYPE, sent, now_us)


def of_orders(user_id: str, orders: Sequence[OrderData], now_us: int) -> list[Interaction]:
    """The same of orders."""
    sent = [(one.catalog_id, one.product_id, one.sub_order_num, one.timestamp, one.metadata) for one in orders]
    return _interactions(user_id, ORDER_TYPE, sent, now_us)


def fits(one: Interaction) -> bool:
    """Whether an interaction can be told as a click or an order: it is about a product whose id is an int32."""
    return one.ref_type == PRODUCT and _product_id(one.ref_id) is not None


def tell_clicks(interactions: Iterable[Interaction], add: Callable[..., object]) -> None:
    """Adds each interaction, all of which fit, by the `add` of a field of ClickEvents: in place, as to make messages
    and to copy them costs twice as much.
    """
    for one in interactions:
        catalog_id, _, text = _read_metadata(one.metadata)
        add(
            catalog_id=catalog_id,
            product_id=_product_id(one.ref_id),
            timestamp=one.occurred_at // _MS_US,
            metadata=text,
        )


def tell_orders(interactions: Iterable[Interaction], add: Callable[..., object]) -> None:
    """The same as orders."""
    for one in interactions:
        catalog_id, sub_order_num, text = _read_metadata(one.metadata)
        add(
            catalog_id=catalog_id,
            product_id=_product_id(one.ref_id),
            sub_order_num=sub_order_num,
            timestamp=one.occurred_at // _MS_US,
            metadata=text,
        )


def odd_id(field: str, text: str) -> Iterator[Fault]:
    """What is wrong with the id of an account, if anything is."""
    if not 1 <= len(text) <= MAX_ID:
        yield fault(field, f"1 to {MAX_ID} characters, not {len(text)}")
    if "\0" in text:
        yield fault(field, NO_NUL)


def _interactions(
    user_id: str, event_type: str, sent: Sequence[tuple[int, int, str, int, str]], now_us: int
) -> list[Interaction]:
    faults = [*odd_id("user_id", user_id)]
    if not 1 <= len(sent) <= MAX_INTERACTIONS:
        faults.append(fault("data", f"1 to {MAX_INTERACTIONS} events, not {len(sent)}"))
        raise unprocessable(faults)
    earliest_us, latest_us = now_us - MOST_BACK_US, now_us + MOST_AHEAD_US
    space, user = b"BharatML " + event_type.encode(), user_id.encode()
    found = []
    for index, one in enumerate(sent):
        catalog_id, product_id, sub_order_num, timestamp, text = one
        occurred_at = timestamp * _MS_US
        if (
            not earliest_us <= occurred_at <= latest_us
            or (text and ("\0" in text or len(text) > _SURELY_SHORT))
            or (sub_order_num and ("\0" in sub_order_num or len(sub_order_num) > MAX_ID))
        ):
            faults.extend(_faults(index, _Sent(*one), now_us))
        order = sub_order_num.encode()
        content = b"%d %d %d %d %b%b" % (product_id, catalog_id, timestamp, len(order), order, text.encode())
        event_id = derive_id(space, user, content)
        found.append(
            Interaction(
                event_id,
                user_id,
                event_type,
                PRODUCT,
                str(product_id),
                occurred_at,
                metadata=kept_metadata(catalog_id, sub_order_num, text),
            )
        )
    if faults:
        raise unprocessable(faults)
    return found


def _faults(index: int, one: _Sent, now_us: int) -> Iterator[Fault]:
    field = f"data[{index}]"
    for _, reason in odd_time(one.timestamp * _MS_US, now_us):
        yield fault(f"{field}.timestamp", f"{one.timestamp} ms is {reason}")
    if "\0" in one.metadata:
        yield fault(f"{field}.metadata", NO_NUL)
    size = len(one.metadata.encode())
    if size > MAX_METADATA_BYTES:
        yield fault(f"{field}.metadata", f"{size} bytes, the limit is {MAX_METADATA_BYTES}")
    if "\0" in one.sub_order_num:
        yield fault(f"{field}.sub_order_num", NO_NUL)
    if len(one.sub_order_num) > MAX_ID:
        yield fault(f"{field}.sub_order_num", f"{len(one.sub_order_num)} characters, the limit is {MAX_ID}")


def kept_metadata(catalog_id: int, sub_order_num: str, text: str) -> str | None:
    """What an interaction keeps of these, as JSON; `text` is BharatML's metadata."""
    if not (catalog_id or sub_order_num or text):
        return None
    kept: dict[str, Any] = {"catalog_id": catalog_id}
    if sub_order_num:
        kept["order_id"] = sub_order_num
    if _HAS_LIFTED(text):
        kept.update(_lifted(text))
    kept[TEXT_KEY] = text
    return metadata_text(kept)


def _lifted(text: str) -> Iterable[tuple[str, Any]]:
    """The keys with a meaning, and a valid value, of a text that may be a JSON object."""
    try:
        parsed = from_json(text, allow_inf_nan=False)
    except ValueError:
        return
    if not isinstance(parsed, dict):
        return
    for key in _LIFTED:
        if key in parsed and _is_valid(key, parsed[key]):
            yield key, parsed[key]


def _is_valid(key: str, value: object) -> bool:
    if isinstance(value, str) and "\0" in value:
        return False
    try:
        _KNOWN.validate_python({key: value})
    except ValidationError:
        return False
    return True


def _read_metadata(metadata: str | None) -> tuple[int, str, str]:
    """catalog_id, sub_order_num and text. Of an interaction that came otherwise the text is its whole metadata."""
    if metadata is None:
        return 0, "", ""
    try:
        kept = _decode_kept(metadata)
    except msgspec.DecodeError:
        return 0, "", metadata
    return (
        kept.catalog_id if type(kept.catalog_id) is int and _is_int32(kept.catalog_id) else 0,
        kept.order_id if isinstance(kept.order_id, str) else "",
        kept.bharatml_metadata if isinstance(kept.bharatml_metadata, str) else metadata,
    )


@lru_cache(_PRODUCTS_REMEMBERED)
def _product_id(ref_id: str) -> int | None:
    """The int32 that this is the text of; None where it is none, or would be another text."""
    return int(ref_id) if _DECIMAL.fullmatch(ref_id) and _is_int32(int(ref_id)) else None


def _is_int32(number: int) -> bool:
    return -_INT32 <= number < _INT32
