"""What a Footfall has of what a client sent: each once, by the public interface."""

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from tests.clients.conftest import Target
from tests.conftest import eventually
from tests.e2e.securing import client
from tests.factories import body


def distinct(count: int, *, accounts: int = 3) -> list[dict[str, Any]]:
    """Interactions of accounts and of a product that no other test has."""
    own = uuid4().hex[:12]
    return [body(account_id=f"ts-{own}-{index % accounts}", ref_id=f"ts-{own}") for index in range(count)]


async def until_recorded_once(closed: Target, sent: list[dict[str, Any]], ids: Iterable[str]) -> None:
    """Waits until the histories of the accounts have exactly these ids, and popularity as many of each product."""
    accounts = sorted({one["account_id"] for one in sent})
    products = Counter(one["ref_id"] for one in sent)
    expected = sorted(ids)
    assert len(expected) == len(sent)
    async with client(closed.stack.url, closed.key) as http:

        async def all_there() -> None:
            assert sorted([one for account in accounts for one in await history(http, account)]) == expected
            for product, count in products.items():
                answer = await http.get(f"/popularity/{product}")
                assert (answer.status_code, answer.json().get("view_count")) == (200, count)

        await eventually(all_there, within_s=60)
        await eventually(lambda: _nothing_is_under_way(closed), within_s=60)
        await all_there()


async def history(http: httpx.AsyncClient, account: str) -> list[str]:
    """The ids of all that it did."""
    answer = await http.get(f"/interactions/{account}", params={"limit": 2_000})
    assert answer.status_code == 200
    assert answer.json()["next_cursor"] is None
    return [one["event_id"] for one in answer.json()["items"]]


async def _nothing_is_under_way(closed: Target) -> None:
    """One that was let in twice would be counted once more by a batch that is still on its way."""
    connection = await asyncpg.connect(closed.stack.database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM intake_log") == 0
    finally:
        await connection.close()
