"""BharatML's click and order messages as interactions. Pure.

A click is a `view` of a product, an order a `purchase` of each product in it, kept as those that come by gRPC are.

Taken are the messages that BharatML's own consumers take, with their envelope (`meta`, `data`), and the same flat,
with the names of its gRPC requests. Fields that are not named here are passed over, as theirs do. Times are Unix
milliseconds.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

from api.bodies import NO_NUL, Fault
from api.parsing import odd_time
from api.problems import fault
from api.schemas import MAX_ID, MAX_INTERACTIONS, MAX_METADATA_BYTES
from domain.interaction import PRODUCT, Interaction
from doors.bharatml.mapping import CLICK_TYPE, ORDER_TYPE, kept_metadata
from doors.kafka.messages import Contents, Drawn, Place, odd_timestamp

_MS_US = 1_000
_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


class _Click(msgspec.Struct):
    catalog_id: _Int32
    product_id: _Int32
    user_id: str | int = ""
    anonymous_user_id: str = ""
    clicked_at: int | None = None
    timestamp: int | None = None
    metadata: str = ""


class _ClickData(msgspec.Struct):
    payload: _Click


class _ClickMessage(msgspec.Struct):
    data: _ClickData


class _Catalog(msgspec.Struct):
    catalog_id: _Int32


class _Detail(msgspec.Struct):
    product_id: _Int32
    catalog_details: _Catalog
    sub_order_num: str = ""


class _Split(msgspec.Struct):
    order_details: list[_Detail]


class _OrderData(msgspec.Struct):
    order_splits: list[_Split]
    user_id: str | int = ""


class _OrderMeta(msgspec.Struct):
    timestamp: int | None = None


class _OrderMessage(msgspec.Struct):
    data: _OrderData
    meta: _OrderMeta = msgspec.field(default_factory=_OrderMeta)


class _Order(msgspec.Struct):
    catalog_id: _Int32
    product_id: _Int32
    user_id: str | int = ""
    sub_order_num: str = ""
    timestamp: int | None = None
    metadata: str = ""


class _Envelope(msgspec.Struct):
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Sent(NamedTuple):
    """A click, or one product of an order."""

    catalog_id: int
    product_id: int
    sub_order_num: str = ""
    metadata: str = ""


_has_envelope = msgspec.json.Decoder(_Envelope).decode
_click_message = msgspec.json.Decoder(_ClickMessage).decode
_click = msgspec.json.Decoder(_Click).decode
_order_message = msgspec.json.Decoder(_OrderMessage).decode
_order = msgspec.json.Decoder(_Order).decode


def read_click(value: bytes, place: Place, now_us: int) -> Contents:
    """A click: `data.payload` with user_id or anonymous_user_id, catalog_id, product_id, clicked_at; or flat."""
    try:
        in_envelope = _has_envelope(value).data is not msgspec.UNSET
        click = _click_message(value).data.payload if in_envelope else _click(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _unread(error)
    user = _user(click.user_id) or click.anonymous_user_id.strip()
    at = click.timestamp if click.clicked_at is None else click.clicked_at
    sent = [_Sent(click.catalog_id, click.product_id, "", click.metadata)]
    return _contents(user, CLICK_TYPE, at, sent, place, now_us)


def read_order(value: bytes, place: Place, now_us: int) -> Contents:
    """An order: `data` with user_id and order_splits[].order_details[], `meta.timestamp`; or one product, flat."""
    try:
        if _has_envelope(value).data is msgspec.UNSET:
            one = _order(value)
            sent = [_Sent(one.catalog_id, one.product_id, one.sub_order_num, one.metadata)]
            return _contents(_user(one.user_id), ORDER_TYPE, one.timestamp, sent, place, now_us)
        order = _order_message(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _unread(error)
    sent = [
        _Sent(one.catalog_details.catalog_id, one.product_id, one.sub_order_num)
        for split in order.data.order_splits
        for one in split.order_details
    ]
    return _contents(_user(order.data.user_id), ORDER_TYPE, order.meta.timestamp, sent, place, now_us)


def _user(user_id: str | int) -> str:
    """Their orders number users, and 0 is nobody."""
    return user_id.strip() if isinstance(user_id, str) else str(user_id or "")


def _unread(error: Exception) -> Contents:
    kind = "invalid" if isinstance(error, msgspec.ValidationError) else "not_json"
    return Contents([], [fault("#", str(error))], kind)


def _contents(
    user: str, event_type: str, at_ms: int | None, sent: list[_Sent], place: Place, now_us: int
) -> Contents:
    faults = list(_faults(user, at_ms, sent, place, now_us))
    if faults:
        return Contents([], faults)
    occurred_at_ms = place.timestamp_ms if at_ms is None else at_ms
    assert occurred_at_ms is not None  # noqa: S101  (else it is a fault)
    return Contents(
        [
            Drawn(
                Interaction(
                    place.event_id(index),
                    user,
                    event_type,
                    PRODUCT,
                    str(one.product_id),
                    occurred_at_ms * _MS_US,
                    metadata=kept_metadata(one.catalog_id, one.sub_order_num, one.metadata),
                ),
                own_time=at_ms is not None,
                own_id=False,
            )
            for index, one in enumerate(sent)
        ],
        [],
    )


def _faults(user: str, at_ms: int | None, sent: list[_Sent], place: Place, now_us: int) -> Iterator[Fault]:
    if not 1 <= len(user) <= MAX_ID:
        yield fault("#/user_id", f"1 to {MAX_ID} characters, not {len(user)}")
    if "\0" in user:
        yield fault("#/user_id", NO_NUL)
    if at_ms is None:
        if odd := odd_timestamp(place, now_us):
            yield fault("#/timestamp", f"not there, and {odd}")
    else:
        for _, reason in odd_time(at_ms * _MS_US, now_us):
            yield fault("#/timestamp", f"{at_ms} ms is {reason}")
    if not 1 <= len(sent) <= MAX_INTERACTIONS:
        yield fault("#/order_splits", f"1 to {MAX_INTERACTIONS} products, not {len(sent)}")
    for index, one in enumerate(sent):
        if one.sub_order_num and (len(one.sub_order_num) > MAX_ID or "\0" in one.sub_order_num):
            yield fault("#/sub_order_num", f"at most {MAX_ID} characters, none of them NUL", index=index)
        if one.metadata and (len(one.metadata.encode()) > MAX_METADATA_BYTES or "\0" in one.metadata):
            yield fault("#/metadata", f"at most {MAX_METADATA_BYTES} bytes, none of them NUL", index=index)
