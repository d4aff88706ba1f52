"""There and back: whatever a client may send comes back as it was, through all that it goes through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.parsing import MOST_AHEAD_US, MOST_BACK_US
from api.problems import Problem
from domain.actions import actions_of
from domain.block import decode_block, encode_block
from domain.interaction import Interaction, decode_interactions, encode_interactions
from domain.outcomes import touches_of
from doors.bharatml import interaction_store_pb2 as pb
from doors.bharatml.mapping import TEXT_KEY, fits, of_clicks, of_orders, tell_clicks, tell_orders
from tests.factories import interaction

NOW_US = 1_795_000_000_000_000
NOW_MS = NOW_US // 1_000

ids = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=128)
int32s = st.integers(-(2**31), 2**31 - 1)
times = st.integers(-(-(NOW_US - MOST_BACK_US) // 1_000), (NOW_US + MOST_AHEAD_US) // 1_000)
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=1_024)
documents = st.dictionaries(
    st.sampled_from(["price", "quantity", "currency", "seller_id", "order_id", "catalog_id", "position", TEXT_KEY]),
    st.one_of(st.text(max_size=5), st.integers(), st.floats(), st.sampled_from(["EUR", "1.50", "\0"]), st.none()),
).map(json.dumps)
metadata = st.one_of(texts, documents, st.just(""), st.just("{" * 4_000), st.just("null"))
clicks = st.builds(pb.ClickData, catalog_id=int32s, product_id=int32s, timestamp=times, metadata=metadata)
sub_order_nums = st.one_of(st.just(""), ids)
orders = st.builds(
    pb.OrderData,
    catalog_id=int32s,
    product_id=int32s,
    sub_order_num=sub_order_nums,
    timestamp=times,
    metadata=metadata,
)


def _kept(interactions: list[Interaction]) -> list[Interaction]:
    """As they are read after the intake log and the blocks; every fan-out can read them."""
    logged = decode_interactions(encode_interactions(interactions))
    actions_of(logged)
    touches_of(logged)
    return [one for some in logged for one in decode_block(encode_block([some]), some.account_id)]


def _fields(one: Any) -> tuple[Any, ...]:
    names = ("catalog_id", "product_id", "sub_order_num", "timestamp", "metadata")
    return tuple(getattr(one, name, "") for name in names)


@given(ids, st.lists(clicks, min_size=1, max_size=5))
def test_clicks(user_id: str, sent: list[pb.ClickData]) -> None:
    found = _kept(of_clicks(user_id, sent, NOW_US))
    assert {(one.account_id, one.event_type) for one in found} == {(user_id, "view")}
    assert all(fits(one) for one in found)
    answer = pb.RetrieveClickDataResponse()
    tell_clicks(found, answer.data.add)
    assert [_fields(one) for one in answer.data] == [_fields(one) for one in sent]


@given(ids, st.lists(orders, min_size=1, max_size=5))
def test_orders(user_id: str, sent: list[pb.OrderData]) -> None:
    found = _kept(of_orders(user_id, sent, NOW_US))
    assert {(one.account_id, one.event_type) for one in found} == {(user_id, "purchase")}
    answer = pb.RetrieveOrderDataResponse()
    tell_orders(found, answer.data.add)
    assert [_fields(one) for one in answer.data] == [_fields(one) for one in sent]


@given(ids, ids, orders, orders)
def test_an_id_is_that_of_all_that_was_sent(one_user: str, other_user: str, one: Any, other: Any) -> None:
    def event_id(user_id: str, event: Any) -> bytes:
        return of_orders(user_id, [event], NOW_US)[0].event_id

    assert event_id(one_user, one) == of_orders(one_user, [one, other], NOW_US)[0].event_id
    assert (event_id(one_user, one) == event_id(one_user, other)) == (one == other)
    assert (event_id(one_user, one) == event_id(other_user, one)) == (one_user == other_user)
    click = pb.ClickData(
        catalog_id=one.catalog_id, product_id=one.product_id, timestamp=one.timestamp, metadata=one.metadata
    )
    assert of_clicks(one_user, [click], NOW_US)[0].event_id != event_id(one_user, one)


def _metadata(text: str, **fields: Any) -> dict[str, Any]:
    order = pb.OrderData(product_id=1, timestamp=NOW_MS, metadata=text, **fields)
    (one,) = of_orders("u", [order], NOW_US)
    assert one.metadata is not None
    found: dict[str, Any] = json.loads(one.metadata)
    assert found.pop(TEXT_KEY) == text
    assert found.pop("catalog_id") == order.catalog_id
    return found


@pytest.mark.parametrize(
    ("text", "lifted"),
    [
        ('{"price": "1.50", "quantity": 2, "currency": "EUR"}', {"price": "1.50", "quantity": 2, "currency": "EUR"}),
        ('{"price": 1e400, "quantity": 0, "currency": "eur"}', {}),
        ('{"price": NaN, "seller_id": "s"}', {}),
        ('{"seller_id": "a\\u0000", "position": 3}', {"position": 3}),
        ('{"seller_id": "\\ud800"}', {}),
        ('{"order_id": "theirs", "catalog_id": 9, "price": 1}', {"price": 1}),
        ('[{"price": 1}]', {}),
        ('"price"', {}),
        ('{"price": 1', {}),
        ('{"price": ' + "[" * 4_000, {}),
    ],
)
def test_keys_with_a_meaning_are_lifted_where_their_value_is_valid(text: str, lifted: dict[str, Any]) -> None:
    assert _metadata(text) == lifted


def test_an_order_counts_in_money() -> None:
    order = pb.OrderData(product_id=1, timestamp=NOW_MS, metadata='{"price": "12.50", "quantity": 2}')
    _, outcomes = touches_of(of_orders("u", [order], NOW_US))
    assert [one.amount for one in outcomes["u"]] == [25_000_000]


def test_the_sub_order_num_is_the_order_id_whatever_the_text_says() -> None:
    assert _metadata('{"order_id": "theirs"}', sub_order_num="S-1") == {"order_id": "S-1"}


def test_an_event_without_anything_more_has_no_metadata() -> None:
    (one,) = of_clicks("u", [pb.ClickData(product_id=1, timestamp=NOW_MS)], NOW_US)
    assert one.metadata is None


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (None, (0, "")),
        ('{"catalog_id":5}', (5, '{"catalog_id":5}')),
        ('{"catalog_id":true}', (0, '{"catalog_id":true}')),
        ('{"catalog_id":2147483648}', (0, '{"catalog_id":2147483648}')),
        (f'{{"{TEXT_KEY}":7}}', (0, f'{{"{TEXT_KEY}":7}}')),
        ("[1]", (0, "[1]")),
    ],
)
def test_metadata_of_others_is_told_whole(kept: str | None, told: tuple[int, str]) -> None:
    answer = pb.RetrieveClickDataResponse()
    tell_clicks([interaction(ref_id="1", metadata=kept)], answer.data.add)
    assert (answer.data[0].catalog_id, answer.data[0].metadata) == told


@given(st.one_of(int32s.map(str), st.integers().map(str), st.text(max_size=12), st.from_regex(r"[+-]?0*\d{1,11}")))
def test_what_fits_is_the_text_of_an_int32(ref_id: str) -> None:
    try:
        is_one = str(int(ref_id)) == ref_id and -(2**31) <= int(ref_id) < 2**31
    except ValueError:
        is_one = False
    assert fits(interaction(ref_id=ref_id)) == is_one


@pytest.mark.parametrize("wrong", [NOW_MS + 300_001, (NOW_US - MOST_BACK_US) // 1_000 - 1, 2**63 - 1, -(2**63), 0])
def test_a_time_out_of_bounds_is_refused(wrong: int) -> None:
    with pytest.raises(Problem, match=r"data\[1\].timestamp"):
        of_clicks("u", [pb.ClickData(timestamp=NOW_MS), pb.ClickData(timestamp=wrong)], NOW_US)
