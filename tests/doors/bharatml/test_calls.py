"""The five calls, by a client of BharatML's, on a running Footfall."""

from uuid import uuid4

from tests.conftest import eventually
from tests.doors.bharatml.client import Client, click, lately, now_ms


def a_product() -> int:
    """One that no other test has."""
    return uuid4().int % 2**31


def a_user() -> str:
    return f"user-{uuid4()}"


async def test_clicks_come_back_newest_first_and_to_the_letter(bharatml: Client) -> None:
    user, now = a_user(), now_ms()
    sent = [
        click(1, now - 3, catalog_id=9, metadata='{"price": "1.50",  "odd" :1}'),
        click(2, now - 1, metadata='no JSON \\ " ü \U0001f600'),
        click(-(2**31), now - 2, catalog_id=2**31 - 1),
    ]
    answer = await bharatml.PersistClickData(user_id=user, data=sent)
    assert answer.message == "success"

    async def readable() -> None:
        found = (await bharatml.RetrieveClickInteractions(user_id=user, **lately())).data
        assert [_told(one) for one in found] == [_told(sent[1]), _told(sent[2]), _told(sent[0])]

    await eventually(readable)


def _told(one: object) -> tuple[object, ...]:
    names = ("catalog_id", "product_id", "sub_order_num", "timestamp", "metadata")
    return tuple(getattr(one, name, None) for name in names)
