"""From bytes to interactions: the same ids and times whenever a message is read, and a reason with its place."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.parsing import MOST_BACK_US
from domain.errors import InvalidInputError
from domain.interaction import decode_interactions, encode_interactions
from domain.week import from_us
from doors.kafka.clicks import read_click, read_order
from doors.kafka.messages import Contents, Format, Place, read_interactions, read_message, told
from doors.kafka.topics import parse_topics
from intake.ledger import LedgerDays
from tests.factories import body

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)
SENT_MS = NOW_US // 1000 - 3_600_000
PLACE = Place("topic", 3, 17, SENT_MS)
DAYS = LedgerDays(7)
FORMATS: list[Format] = [read_interactions, read_click, read_order]


def _read(sent: Any, place: Place = PLACE) -> Contents:
    return read_interactions(json.dumps(sent).encode(), place, NOW_US)


def _reason(contents: Contents) -> str:
    assert contents.valid == []
    return told(contents.faults)


def test_an_interaction_has_the_messages_time_and_an_id_of_its_place() -> None:
    (one,) = _read(body()).valid
    assert one.interaction.occurred_at == SENT_MS * 1000
    assert one == _read(body()).valid[0]
    elsewhere = [
        Place("other", 3, 17, SENT_MS),
        Place("topic", 4, 17, SENT_MS),
        Place("topic", 3, 18, SENT_MS),
        Place("topic", 3, 17, SENT_MS + 1),
    ]
    ids = {_read(body(), place).valid[0].interaction.event_id for place in [PLACE, *elsewhere]}
    assert len(ids) == 5
    ids_of_many = {one.interaction.event_id for one in _read({"interactions": [body()] * 3}).valid}
    assert len(ids_of_many) == 3


def test_what_the_app_says_counts() -> None:
    event_id, at = uuid4(), NOW - timedelta(days=2)
    (one,) = _read(body(event_id=str(event_id), occurred_at=at.isoformat())).valid
    assert UUID(bytes=one.interaction.event_id) == event_id
    assert from_us(one.interaction.occurred_at) == at


@pytest.mark.parametrize(("own_id", "own_time"), [(True, True), (True, False), (False, True), (False, False)])
def test_an_id_is_filed_under_the_same_day_whenever_it_is_read(own_id: bool, own_time: bool) -> None:
    given = body(**({"event_id": str(uuid4())} if own_id else {}))
    given |= {"occurred_at": (NOW - timedelta(days=1)).isoformat()} if own_time else {}
    value = json.dumps(given).encode()
    days = set()
    for read_at in (NOW, NOW + timedelta(hours=13), NOW + timedelta(days=3)):
        ((event,), _) = read_message(read_interactions, value, PLACE, int(read_at.timestamp() * 1e6), DAYS)
        days.add((event.day, event.day_before_too))
    assert days == {(date(2026, 3, 9) if own_time else date(2026, 3, 10), own_id and not own_time)}


def test_valid_ones_are_taken_and_the_others_named() -> None:
    contents = _read({"interactions": [body(), body(ref_type="Shop"), body(ref_id="")]})
    assert len(contents.valid) == 1
    assert [one["pointer"] for one in contents.faults] == ["#/interactions/1/ref_type", "#/interactions/2/ref_id"]


@pytest.mark.parametrize(
    ("sent_ms", "reason"),
    [
        (None, "the message has no time either"),
        (NOW_US // 1000 + 600_000, "the message's time is over 5 minutes in the future"),
        ((NOW_US - MOST_BACK_US) // 1000 - 1, "the message's time is over 24 weeks ago"),
    ],
)
def test_without_a_time_in_either_it_can_not_be_recorded(sent_ms: int | None, reason: str) -> None:
    place = Place("topic", 0, 0, sent_ms)
    assert _reason(_read(body(), place)) == f"#/occurred_at: not there, and {reason}"
    assert len(_read(body(occurred_at=NOW.isoformat()), place).valid) == 1
    click = {"user_id": "u", "catalog_id": 1, "product_id": 2}
    assert _reason(read_click(json.dumps(click).encode(), place, NOW_US)).endswith(reason)


def test_a_message_without_a_value() -> None:
    events, contents = read_message(read_interactions, None, PLACE, NOW_US, DAYS)
    assert (events, contents.kind, told(contents.faults)) == ([], "no_value", "#: the message has no value")


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"nothing"])
@pytest.mark.parametrize("read", FORMATS)
def test_what_is_not_json_is_said_to_be(read: Format, value: bytes) -> None:
    contents = read(value, PLACE, NOW_US)
    assert (contents.valid, contents.kind) == ([], "not_json")
    assert contents.faults


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user_id": " ", "anonymous_user_id": ""}, "#/user_id: 1 to 128 characters, not 0"),
        ({"user_id": "u" * 129}, "#/user_id: 1 to 128 characters, not 129"),
        ({"user_id": "a\0b"}, "#/user_id: NUL characters are not accepted"),
        ({"clicked_at": 1}, "#/timestamp: 1 ms is over 24 weeks ago"),
        ({"product_id": 2**31}, "at `$.data.payload.product_id`"),
        ({"product_id": "5"}, "at `$.data.payload.product_id`"),
        ({"metadata": "m" * 4097}, "#/metadata: at most 4096 bytes, none of them NUL"),
    ],
)
def test_a_wrong_click_says_where(fields: dict[str, Any], reason: str) -> None:
    payload = {"user_id": "u", "catalog_id": 1, "product_id": 2, **fields}
    contents = read_click(json.dumps({"data": {"payload": payload}}).encode(), PLACE, NOW_US)
    assert reason in _reason(contents)
    assert contents.kind == "invalid"


def test_an_order_is_a_purchase_of_each_product() -> None:
    details = [{"product_id": n, "sub_order_num": f"s{n}", "catalog_details": {"catalog_id": 9}} for n in range(3)]
    order = {"data": {"user_id": 12, "order_splits": [{"order_details": details}]}, "meta": {"timestamp": SENT_MS}}
    found = [one.interaction for one in read_order(json.dumps(order).encode(), PLACE, NOW_US).valid]
    assert [(one.account_id, one.event_type, one.ref_id) for one in found] == [
        ("12", "purchase", str(number)) for number in range(3)
    ]
    assert len({one.event_id for one in found}) == 3
    assert json.loads(found[1].metadata or "")["order_id"] == "s1"
    none = {"data": {"user_id": 12, "order_splits": []}}
    assert "#/order_splits: 1 to 1000 products, not 0" in _reason(
        read_order(json.dumps(none).encode(), PLACE, NOW_US)
    )


_CLICKS = ["data", "payload", "meta", "user_id", "catalog_id", "product_id", "clicked_at", "timestamp", "metadata"]
_ORDERS = ["order_splits", "order_details", "catalog_details"]
_KEYS = [*_CLICKS, *_ORDERS, "interactions", *body()]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([1, "u", SENT_MS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
    max_leaves=15,
)


@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_kept_or_named(value: bytes) -> None:
    for read in FORMATS:
        contents = read(value, PLACE, NOW_US)
        assert contents.valid or contents.faults
        taken = [one.interaction for one in contents.valid]
        assert decode_interactions(encode_interactions(taken)) == taken


def test_topics_and_their_formats() -> None:
    assert parse_topics(" a.b=interaction, c=click ,d=order") == {"a.b": "interaction", "c": "click", "d": "order"}
    for wrong, said in (("a", "'a'"), ("a=b", "format"), ("a b=click", "no name"), ("a=click,a=order", "twice")):
        with pytest.raises(InvalidInputError, match=said):
            parse_topics(wrong)
