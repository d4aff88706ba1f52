"""The five calls, by a client of BharatML's, on a running Footfall."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest

from tests.conftest import eventually
from tests.doors.bharatml.client import Client, click, lately, now_ms, order, violations
from tests.factories import body
from tests.stack import Stack

WEEKS_24_MS = 24 * 7 * 86_400_000


def a_product() -> int:
    """One that no other test has."""
    return uuid4().int % 2**31


def a_user() -> str:
    return f"user-{uuid4()}"


def _told(one: Any) -> tuple[Any, ...]:
    names = ("catalog_id", "product_id", "sub_order_num", "timestamp", "metadata")
    return tuple(getattr(one, name, None) for name in names)


async def _refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def test_clicks_come_back_newest_first_and_to_the_letter(bharatml: Client) -> None:
    user, now = a_user(), now_ms()
    sent = [
        click(1, now - 3, catalog_id=9, metadata='{"price": "1.50",  "odd" :1}'),
        click(2, now - 1, metadata='no JSON \\ " ü \U0001f600'),
        click(-(2**31), now - 2, catalog_id=2**31 - 1),
        click(0, now - 4, metadata="x" * 4_096),
    ]
    answer = await bharatml.PersistClickData(user_id=user, data=sent)
    assert answer.message == "success"

    async def readable() -> None:
        found = (await bharatml.RetrieveClickInteractions(user_id=user, **lately())).data
        assert [_told(one) for one in found] == [_told(sent[place]) for place in (1, 2, 0, 3)]

    await eventually(readable)
    assert not (await bharatml.RetrieveOrderInteractions(user_id=user, **lately())).data


async def test_orders_come_back_and_both_types_at_once(bharatml: Client) -> None:
    user, now = a_user(), now_ms()
    orders = [
        order(1, now - 1, sub_order_num="S-1", catalog_id=-5, metadata='{"price": "2.50", "order_id": "theirs"}'),
        order(1, now - 2, sub_order_num="S-2"),
        order(1, now - 3, metadata='{"order_id": "theirs"}'),
    ]
    await bharatml.PersistOrderData(user_id=user, data=orders)
    await bharatml.PersistClickData(user_id=user, data=[click(7, now)])

    async def readable() -> None:
        both = await bharatml.RetrieveInteractions(user_id=user, interaction_types=["CLICK", "ORDER"], **lately())
        assert set(both.data) == {"CLICK", "ORDER"}
        assert [_told(one) for one in both.data["ORDER"].order_events] == [_told(one) for one in orders]
        assert [one.product_id for one in both.data["CLICK"].click_events] == [7]
        assert not both.data["CLICK"].order_events

    await eventually(readable)
    found = (await bharatml.RetrieveOrderInteractions(user_id=user, **{**lately(), "limit": 2})).data
    assert [_told(one) for one in found] == [_told(one) for one in orders[:2]]
    only = await bharatml.RetrieveInteractions(user_id=user, interaction_types=["ORDER", "ORDER"], **lately())
    assert {name: len(events.order_events) for name, events in only.data.items()} == {"ORDER": 3}
    nobody = await bharatml.RetrieveInteractions(user_id=a_user(), interaction_types=[0, 1], **lately())
    assert set(nobody.data) == {"CLICK", "ORDER"}


async def test_the_range_has_both_its_ends_in_it(bharatml: Client) -> None:
    user, now = a_user(), now_ms() - 10
    await bharatml.PersistClickData(user_id=user, data=[click(number, now + number) for number in range(4)])

    async def readable() -> None:
        between = {"start_timestamp": now + 1, "end_timestamp": now + 2, "limit": 10}
        found = (await bharatml.RetrieveClickInteractions(user_id=user, **between)).data
        assert [one.product_id for one in found] == [2, 1]

    await eventually(readable)


async def test_what_is_sent_again_is_counted_once_and_what_differs_is_not(
    bharatml: Client, http: httpx.AsyncClient
) -> None:
    user, product, now = a_user(), a_product(), now_ms()
    same = [click(product, now, metadata="a"), click(product, now, metadata="a")]
    different = [
        click(product, now, metadata="b"),
        click(product, now - 1, metadata="a"),
        click(product, now, metadata="a", catalog_id=1),
    ]
    orders = [order(product, now, sub_order_num=number) for number in ("1", "2", "2")]
    for _ in range(3):
        await asyncio.gather(
            bharatml.PersistClickData(user_id=user, data=same + different),
            bharatml.PersistClickData(user_id=user, data=same),
            bharatml.PersistOrderData(user_id=user, data=orders),
        )
    await bharatml.PersistClickData(user_id=f"{user}-other", data=same)

    async def counted() -> None:
        found = (await http.get(f"/popularity/{product}")).json()
        assert (found.get("view_count"), found.get("purchase_count")) == (5, 2)

    await eventually(counted)
    await asyncio.sleep(1)  # a second count would come now
    await counted()


async def test_it_is_read_by_http_as_any_interaction(bharatml: Client, http: httpx.AsyncClient) -> None:
    user, product, now = a_user(), a_product(), now_ms()
    text = '{"price": "12.50", "currency": "EUR", "quantity": "two", "colour": "red"}'
    await bharatml.PersistOrderData(
        user_id=user, data=[order(product, now, sub_order_num="S", catalog_id=3, metadata=text)]
    )

    async def readable() -> None:
        items = (await http.get(f"/interactions/{user}")).json()["items"]
        assert len(items) == 1
        found = items[0]
        assert (found["event_type"], found["ref_type"], found["ref_id"]) == ("purchase", "Product", str(product))
        assert found["metadata"] == {
            "catalog_id": 3,
            "order_id": "S",
            "currency": "EUR",
            "price": "12.50",
            "bharatml_metadata": text,
        }
        assert "ip_address" not in found

    await eventually(readable)


async def test_what_came_otherwise_is_read_as_far_as_it_fits(bharatml: Client, http: httpx.AsyncClient) -> None:
    user = a_user()
    others = [
        body(account_id=user, ref_id="17", metadata={"catalog_id": 4, "colour": "red"}),
        body(account_id=user, ref_id="18", event_type="purchase", metadata={"order_id": "O-1", "catalog_id": "none"}),
        *(body(account_id=user, ref_id=odd) for odd in ("cup", "017", "-0", "+1", "2147483648", "1.0", "\u0661")),
        body(account_id=user, ref_id="19", ref_type="Category"),
        body(account_id=user, ref_id="20", event_type="add_to_cart"),
    ]
    answer = await http.post("/interaction", json={"interactions": others})
    assert answer.status_code == 202, answer.text

    async def readable() -> None:
        both = await bharatml.RetrieveInteractions(user_id=user, interaction_types=[0, 1], **lately())
        assert (len(both.data["CLICK"].click_events), len(both.data["ORDER"].order_events)) == (1, 1)
        (seen,) = both.data["CLICK"].click_events
        assert (seen.product_id, seen.catalog_id, seen.metadata) == (17, 4, '{"catalog_id":4,"colour":"red"}')
        (bought,) = both.data["ORDER"].order_events
        assert (bought.product_id, bought.catalog_id, bought.sub_order_num) == (18, 0, "O-1")

    await eventually(readable)
    # Those that do not fit take no place of those that do, however few are asked for.
    newest = {**lately(), "limit": 1}
    assert [one.product_id for one in (await bharatml.RetrieveClickInteractions(user_id=user, **newest)).data] == [17]


async def test_every_fault_is_named_by_its_field_and_nothing_is_recorded(
    bharatml: Client, http: httpx.AsyncClient
) -> None:
    user, product, now = a_user(), a_product(), now_ms()
    refused = await _refusal(
        bharatml.PersistOrderData(
            user_id=user,
            data=[
                order(product, now),
                order(product, now + 6 * 60_000),
                order(product, now - WEEKS_24_MS - 60_000, metadata="a\0"),
                order(product, now, metadata="ü" * 2_049, sub_order_num="9" * 129),
                order(product, -(2**63), sub_order_num="\0"),
            ],
        )
    )
    assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT
    found = violations(refused)
    assert set(found) == {
        *("data[1].timestamp", "data[2].timestamp", "data[2].metadata"),
        *("data[3].metadata", "data[3].sub_order_num", "data[4].timestamp", "data[4].sub_order_num"),
    }
    assert "over 5 minutes in the future" in found["data[1].timestamp"]
    assert "4098 bytes" in found["data[3].metadata"]
    assert "data[1].timestamp" in (refused.details() or "")
    for user_id, data, field in (
        ("", [click()], "user_id"),
        ("u" * 129, [click()], "user_id"),
        ("a\0", [click()], "user_id"),
        (user, [], "data"),
        (user, [click(number) for number in range(1_001)], "data"),
    ):
        refused = await _refusal(bharatml.PersistClickData(user_id=user_id, data=data))
        assert (refused.code(), set(violations(refused))) == (grpc.StatusCode.INVALID_ARGUMENT, {field})
    await asyncio.sleep(1)
    assert (await http.get(f"/popularity/{product}")).status_code == 404


async def test_a_thousand_faults_still_reach_the_client(bharatml: Client) -> None:
    refused = await _refusal(
        bharatml.PersistClickData(user_id=a_user(), data=[click(1, 0, metadata="\0") for _ in range(1_000)])
    )
    assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "data[0].timestamp" in violations(refused)
    assert "more" in (refused.details() or "")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 2_001}, "limit"),
        ({"start_timestamp": 0}, "start_timestamp"),
        ({"start_timestamp": -1}, "start_timestamp"),
        ({"start_timestamp": -(2**63), "end_timestamp": -(2**63) + 1}, "start_timestamp"),
        ({"end_timestamp": 2**62}, "end_timestamp"),
        ({"end_timestamp": 2**63 - 1}, "end_timestamp"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "a\0"}, "user_id"),
    ],
)
async def test_a_range_keeps_to_its_rules(bharatml: Client, wrong: dict[str, Any], field: str) -> None:
    asked = {"user_id": a_user(), **lately(), **wrong}
    for call in (
        bharatml.RetrieveClickInteractions(**asked),
        bharatml.RetrieveOrderInteractions(**asked),
        bharatml.RetrieveInteractions(interaction_types=[0], **asked),
    ):
        refused = await _refusal(call)
        assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert field in violations(refused)


async def test_a_range_has_a_start_before_its_end_and_24_weeks_at_the_most(bharatml: Client) -> None:
    user, now = a_user(), now_ms()
    await bharatml.RetrieveClickInteractions(
        user_id=user, start_timestamp=now - WEEKS_24_MS, end_timestamp=now, limit=2_000
    )
    for start in (now - WEEKS_24_MS - 1, now):
        refused = await _refusal(
            bharatml.RetrieveClickInteractions(user_id=user, start_timestamp=start, end_timestamp=now, limit=1)
        )
        assert set(violations(refused)) == {"start_timestamp"}


async def test_types_are_asked_for_and_known(bharatml: Client) -> None:
    refused = await _refusal(bharatml.RetrieveInteractions(user_id=a_user(), **lately()))
    assert set(violations(refused)) == {"interaction_types"}
    refused = await _refusal(bharatml.RetrieveInteractions(user_id=a_user(), interaction_types=[0, 7], **lately()))
    assert set(violations(refused)) == {"interaction_types[1]"}


async def test_bytes_that_are_no_request_are_refused(bharatml: Client) -> None:
    for data in (b"\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"):  # no message, no UTF-8, cut off
        refused = await _refusal(bharatml.raw("PersistClickData", data))
        assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT, data
        assert "proto.PersistClickDataRequest" in (refused.details() or "")


async def test_a_request_over_its_bound_is_refused_and_the_next_one_is_served(bharatml: Client) -> None:
    for options in ({}, {"compression": grpc.Compression.Gzip}):
        refused = await _refusal(bharatml.raw("PersistClickData", b"\x0a" * (5 * 1024 * 1024), **options))
        assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, options
    assert (await bharatml.PersistClickData(user_id=a_user(), data=[click()])).message == "success"


async def test_what_others_accept_of_time_is_accepted(bharatml: Client, http: httpx.AsyncClient) -> None:
    product, now = a_product(), now_ms()
    times = [now + 4 * 60_000, now - WEEKS_24_MS + 60_000, now - 8 * 86_400_000]
    for _ in range(2):
        await bharatml.PersistClickData(user_id=a_user(), data=[click(product, at) for at in times])
        await asyncio.sleep(0)

    async def counted() -> None:
        assert (await http.get(f"/popularity/{product}")).json().get("view_count") == 2 * len(times)

    await eventually(counted)


async def test_late_events_that_come_again_are_known(bharatml: Client, http: httpx.AsyncClient, door: Stack) -> None:
    del door
    user, product = a_user(), a_product()
    late = click(product, now_ms() - 60 * 86_400_000)
    await bharatml.PersistClickData(user_id=user, data=[late])

    async def counted() -> None:
        assert (await http.get(f"/popularity/{product}")).json().get("view_count") == 1

    await eventually(counted)
    await bharatml.PersistClickData(user_id=user, data=[late])
    await asyncio.sleep(1)
    await counted()
