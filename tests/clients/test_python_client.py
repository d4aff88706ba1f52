"""The Python clients against the real server, with what lies between them failing: nothing lost, nothing twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from footfall_client import (
    AnswerError,
    ClosedError,
    Interaction,
    InvalidInteractionError,
    Limits,
    QueueFullError,
    Rejection,
    add_to_cart,
    history,
    popularity,
    purchase,
    receipt,
    recommendations,
    top,
    view,
)
from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.clients.driving import KINDS, Driven, Kind, assert_recorded_once, driven, new_product, recorded, some
from tests.conftest import Temporal, eventually, new_database
from tests.e2e.securing import made_key, running_api
from tests.slow_link import slow_link
from tests.stack import Stack

pytestmark = pytest.mark.parametrize("kind", KINDS)

SMALL = Limits(max_batch=20, linger_s=0.01)


async def some_are_accepted(client: Driven) -> None:
    async def some_are() -> None:
        assert client.stats.accepted > 0

    await eventually(some_are)


async def is_in_trouble(client: Driven, word: str) -> None:
    async def says_so() -> None:
        assert word in (client.stats.trouble or "")

    await eventually(says_so)


async def test_what_is_recorded_can_be_read(kind: Kind, stack: Stack) -> None:
    product, account = new_product(), f"an account/{uuid4()}?"
    async with driven(kind, stack.url) as client:
        before = datetime.now(UTC)
        client.record(view(account, product, position=3))
        client.record(add_to_cart(account, product, quantity=2))
        last = client.record(purchase(account, product, price="12.50", currency="EUR", order_id="o-17"))
        after = datetime.now(UTC)
        assert await client.flush(30) == 0
        assert (await client.get(receipt(last, wait_s=30)))["state"] == "done"
        found = await client.get(history(account))
        assert [one["event_type"] for one in found["items"]] == ["purchase", "add_to_cart", "view"]
        assert found["items"][0]["metadata"] == {"price": "12.50", "currency": "EUR", "order_id": "o-17"}
        assert found["items"][0]["event_id"] == str(last)
        assert before <= datetime.fromisoformat(found["items"][2]["occurred_at"]) <= after
        types = ["view", "purchase"]
        page = await client.get(history(account, event_types=types, since=before, limit=1))
        next_page = await client.get(history(account, event_types=types, limit=1, cursor=page["next_cursor"]))
        assert [one["event_type"] for one in page["items"] + next_page["items"]] == ["purchase", "view"]
        assert (await client.get(popularity(product)))["view_count"] == 1
        assert (await client.get(top(window="7d", limit=5)))["window"] == "7d"
        assert (await client.get(recommendations(account, limit=3)))["account_id"] == account
        with pytest.raises(AnswerError, match=r"404: .*nobody knows") as raised:
            await client.get(popularity("nobody knows"))
        assert raised.value.status == 404
        assert (client.stats.recorded, client.stats.accepted) == (3, 3)


async def test_the_time_is_that_of_recording_and_not_of_sending(kind: Kind, stack: Stack) -> None:
    product, earlier = new_product(), datetime.now(UTC) - timedelta(days=2)
    async with driven(kind, stack.url, limits=Limits(linger_s=60)) as client:
        start = datetime.now(UTC)
        client.record(view(product, product))
        end = datetime.now(UTC)
        await asyncio.sleep(0.2)
        last = client.record(Interaction(account_id=product, event_type="view", ref_id=product, occurred_at=earlier))
        assert await client.flush(30) == 0
        await client.get(receipt(last, wait_s=30))
        times = [datetime.fromisoformat(one["occurred_at"]) for one in (await client.get(history(product)))["items"]]
        assert start <= times[0] <= end
        assert times[1] == earlier


async def test_an_api_that_is_killed_loses_and_doubles_nothing(
    kind: Kind, stack: Stack, http: httpx.AsyncClient
) -> None:
    product, ids = new_product(), list[UUID]()
    with running_api(stack) as api:
        async with driven(kind, api.url, limits=SMALL) as client:
            for round_ in range(2):
                ids += [client.record(one) for one in some(1_000, product)]
                await some_are_accepted(client)
                api.kill("api")
                assert client.stats.accepted + client.stats.duplicates < 1_000 * (round_ + 1)
                ids += [client.record(one) for one in some(50, product)]
                await is_in_trouble(client, "Error")
                api.start("api")
                assert await client.flush(60) == 0
                assert client.stats.accepted + client.stats.duplicates == len(ids)
            assert (client.stats.rejected, client.stats.dropped, client.stats.trouble) == (0, 0, None)
            assert client.stats.retries >= 2
    assert len(set(ids)) == 2_100
    await assert_recorded_once(http, product, ids)


async def test_a_lost_acknowledgement_is_counted_once(kind: Kind, stack: Stack, http: httpx.AsyncClient) -> None:
    product = new_product()
    async with slow_link(lambda: asyncio.open_connection("127.0.0.1", stack.port)) as link:
        link.hold()
        async with driven(kind, f"http://127.0.0.1:{link.port}", limits=Limits(max_batch=20, linger_s=60)) as client:
            ids = [client.record(one) for one in some(20, product)]

            async def committed() -> None:
                assert len(await recorded(http, product)) == 20

            await eventually(committed)
            assert client.stats.accepted == 0
            link.cut()
            link.let_go()
            assert await client.flush(30) == 0
            assert (client.stats.accepted, client.stats.duplicates) == (0, 20)
    await assert_recorded_once(http, product, ids)


async def test_what_a_limit_refuses_is_sent_when_it_has_room(
    kind: Kind, stack: Stack, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    product = new_product()
    with running_api(stack, FOOTFALL_RATE_LIMIT_CALLER="100/second") as api:
        async with driven(kind, api.url, limits=SMALL) as client:
            ids = [client.record(one) for one in some(300, product)]
            assert await client.flush(60) == 0
            assert (client.stats.accepted, client.stats.rejected) == (300, 0)
            assert client.stats.retries > 0
    assert "429 Too Many Requests: More than 100 in 1 s" in caplog.text
    await assert_recorded_once(http, product, ids)


@pytest.mark.long
async def test_what_a_full_backlog_refuses_is_sent_later(kind: Kind, stack: Stack, http: httpx.AsyncClient) -> None:
    """The server asks to wait a minute: it has seen nothing worked off."""
    product = new_product()
    stack.kill("worker")
    with running_api(stack, FOOTFALL_BACKLOG_LIMIT_EVENTS="50") as api:
        async with driven(kind, api.url, limits=Limits(max_batch=20, linger_s=60)) as client:
            ids = [client.record(one) for one in some(80, product)]
            await is_in_trouble(client, "429")
            assert client.stats.accepted == 40
            assert await client.flush(0.1) == 40
            stack.start("worker")
            assert await client.flush(100) == 0
            assert (client.stats.accepted, client.stats.retries) == (80, 1)
    await assert_recorded_once(http, product, ids)


async def test_without_postgres_nothing_is_lost(
    kind: Kind, servers_dir: Path, temporal: Temporal, tmp_path: Path
) -> None:
    server = EmbeddedPostgres(servers_dir / f"{kind}-postgres", servers_dir / "client-logs")
    server.start()
    await migrate_postgres(server.url)
    stack = Stack(server.url, temporal.address, servers_dir / "client-logs")
    stack.start("api")
    try:
        async with driven(kind, stack.url, limits=SMALL) as client:
            ids = [client.record(one) for one in some(500, new_product())]
            await some_are_accepted(client)
            server.stop()
            ids += [client.record(one) for one in some(100, new_product())]
            await is_in_trouble(client, "503")
            server.start()
            assert await client.flush(60) == 0
            assert client.stats.accepted + client.stats.duplicates == 600
        connection = await asyncpg.connect(server.url)
        kept = [row["event_id"] for row in await connection.fetch("SELECT event_id FROM event_ledger")]
        await connection.close()
        assert sorted(kept) == sorted(ids)
    finally:
        stack.stop()
        server.stop()


async def test_one_that_is_invalid_keeps_no_other_out(kind: Kind, stack: Stack, http: httpx.AsyncClient) -> None:
    product, rejected = new_product(), list[Rejection]()
    deep: Any = "bottom"
    for _ in range(300):
        deep = [deep]
    bad = [
        Interaction(account_id="", event_type="view", ref_id=product),
        Interaction(account_id="alice", event_type="No Type", ref_id=product, metadata={"price": "dear"}),
        # The server's parser takes nothing of a request that is nested so deeply.
        Interaction(account_id="alice", event_type="view", ref_id=product, metadata={"deep": deep}),
        Interaction(
            account_id="alice", event_type="view", ref_id=product, occurred_at=datetime(2001, 1, 1, tzinfo=UTC)
        ),
    ]
    async with driven(kind, stack.url, limits=Limits(linger_s=60), on_rejected=rejected.extend) as client:
        good = some(40, product)
        ids = []
        for place, one in enumerate(good):
            ids.append(client.record(one))
            if place % 10 == 0:
                client.record(bad[place // 10])
        assert await client.flush(30) == 0
        assert (client.stats.accepted, client.stats.rejected) == (40, 4)
    assert {one.interaction.metadata and "deep" in one.interaction.metadata for one in rejected} == {
        None,
        False,
        True,
    }
    reasons = " | ".join(one.reason for one in rejected)
    for part in ("account_id: String should have at least 1", "event_type: ", "recursion", "over 24 weeks ago"):
        assert part in reasons
    assert all(one.interaction.event_id is not None for one in rejected)
    await assert_recorded_once(http, product, ids)


async def test_a_request_that_is_too_large_is_split(kind: Kind, stack: Stack, http: httpx.AsyncClient) -> None:
    product, rejected = new_product(), list[Rejection]()
    with running_api(stack, FOOTFALL_MAX_BODY_BYTES="5000") as api:
        async with driven(kind, api.url, limits=Limits(linger_s=60), on_rejected=rejected.extend) as client:
            ids = [client.record(one) for one in some(300, product)]
            client.record(view("alice", product, recommendation_id="x" * 6_000))
            assert await client.flush(60) == 0
            assert (client.stats.accepted, client.stats.rejected) == (300, 1)
    assert [(one.status, len(one.reason) > 0) for one in rejected] == [(413, True)]
    await assert_recorded_once(http, product, ids)


async def test_a_key_that_is_unknown_is_said_and_not_tried_again(
    kind: Kind,
    postgres_server: EmbeddedPostgres,
    temporal: Temporal,
    servers_dir: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        closed = Stack(url, temporal.address, servers_dir / "logs")
        key = (await made_key(closed, "ingest"))["key"]
        closed.start("api")
        try:
            await _check_keys(kind, closed.url, key)
        finally:
            closed.stop()
    assert "2 interactions were rejected" in caplog.text
    assert "401 Unauthorized" in caplog.text


async def _check_keys(kind: Kind, url: str, key: str) -> None:
    async with driven(kind, url, api_key=key) as client:
        client.record(view("alice", "cup"))
        assert await client.flush(30) == 0
        assert client.stats.accepted == 1
    async with driven(kind, url, api_key="wrong") as client:
        client.record(view("alice", "cup"))
        client.record(view("alice", "cup"))
        assert await client.flush(30) == 0
        assert (client.stats.accepted, client.stats.rejected, client.stats.retries) == (0, 2, 0)


async def test_a_full_queue_says_so_and_has_room_again(kind: Kind, stack: Stack, http: httpx.AsyncClient) -> None:
    product = new_product()
    limits = Limits(max_queued=10, max_batch=4, linger_s=0.01)
    async with slow_link(lambda: asyncio.open_connection("127.0.0.1", stack.port)) as link:
        link.hold_requests()
        async with driven(kind, f"http://127.0.0.1:{link.port}", limits=limits) as client:
            ids = [client.record(one) for one in some(10, product)]
            (another,) = some(1, product)
            with pytest.raises(QueueFullError, match="10 interactions"):
                client.record(another)
            with pytest.raises(QueueFullError):
                await client.record_when_room(another, timeout_s=0.05)
            assert (client.stats.recorded, client.stats.dropped) == (10, 2)
            waiting = asyncio.create_task(client.record_when_room(another))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            link.let_go()
            ids.append(await waiting)
            assert await client.flush(30) == 0
    await assert_recorded_once(http, product, ids)


async def test_what_close_could_not_send_is_handed_back(
    kind: Kind, stack: Stack, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    product, nobody = new_product(), free_port("127.0.0.1", 0)
    async with driven(kind, f"http://127.0.0.1:{nobody}", all_sent=False) as client:
        ids = [client.record(one) for one in some(30, product)]
        unsent = await client.close(0.5)
        with pytest.raises(ClosedError):
            client.record(unsent[0])
        with pytest.raises(ClosedError):
            await client.get(top())
    assert [one.event_id for one in unsent] == ids
    assert "30 interactions have no acknowledgement: ConnectError" in caplog.text
    async with driven(kind, stack.url) as client:
        assert [client.record(one) for one in unsent] == ids
    await assert_recorded_once(http, product, ids)


async def test_what_can_never_be_sent_is_not_taken(kind: Kind, stack: Stack) -> None:
    unfit: list[dict[str, Any]] = [
        {"metadata": {"at": datetime.now(UTC)}},
        {"metadata": {"price": float("nan")}},
        {"account_id": "half a pair: \ud800"},
        {"metadata": {"long": "x" * 1_048_576}},
        {"occurred_at": datetime(2026, 1, 1)},
    ]
    async with driven(kind, stack.url) as client:
        for fields in unfit:
            plain: dict[str, Any] = {"account_id": "alice", "event_type": "view", "ref_id": "cup"}
            with pytest.raises(InvalidInteractionError):
                client.record(Interaction(**{**plain, **fields}))
        assert client.stats.recorded == 0


async def test_a_callback_that_fails_stops_nothing(
    kind: Kind, stack: Stack, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    product = new_product()

    def fail(_: object) -> None:
        raise LookupError("the app's own fault")

    async with driven(kind, stack.url, on_rejected=fail) as client:
        client.record(view("", product))
        assert await client.flush(30) == 0
        ids = [client.record(one) for one in some(3, product)]
    assert "the app's own fault" in caplog.text
    await assert_recorded_once(http, product, ids)
