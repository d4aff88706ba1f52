"""The gRPC process: who may ask, how much, and what becomes of calls when something is gone, itself among it."""

import asyncio
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from domain.shard import shard_of
from migrations.runner import migrate_postgres
from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from tests.conftest import Temporal, eventually
from tests.doors.bharatml.client import (
    SERVICE,
    Client,
    click,
    connected,
    grpc_beside,
    lately,
    now_ms,
    order,
    retry_delay_s,
    target,
)
from tests.e2e.securing import AUDIENCE, ISSUER, made_key, running_issuer
from tests.stack import Stack, footfall, frozen, no_commits

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
_STOP_S = 30.0
"""What `footfall up` and Kubernetes give a process before they kill it."""


@pytest.fixture
def bare(database_url: str, temporal: Temporal, tmp_path: Path) -> Stack:
    """A database of its own, with nothing running on it."""
    return Stack(database_url, temporal.address, tmp_path)


async def _code(call: Any) -> grpc.StatusCode:
    return (await _refusal(call)).code()


async def _refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


def _persist(client: Client, user: str = "alice", **options: Any) -> Any:
    return client.PersistClickData(user_id=user, data=[click()], **options)


def _retrieve(client: Client, user: str = "alice", **options: Any) -> Any:
    return client.RetrieveClickInteractions(user_id=user, **lately(), **options)


# Who may ask, and how much


async def test_a_key_may_do_what_its_scope_says(bare: Stack) -> None:
    ingest, read = [(await made_key(bare, scope))["key"] for scope in ("ingest", "read")]
    with grpc_beside(bare) as door:
        async with connected(door, ingest) as client:
            assert (await _persist(client)).message == "success"
            refused = await _refusal(_retrieve(client))
            assert refused.code() == grpc.StatusCode.PERMISSION_DENIED
            assert "scope read" in (refused.details() or "")
        async with connected(door, read, header="x-api-key") as client:
            await _retrieve(client)
            assert await _code(_persist(client)) == grpc.StatusCode.PERMISSION_DENIED
        for secret in (None, "ff_nonsense", ingest[:-1]):
            async with connected(door, secret) as client:
                for call in (_persist(client), _retrieve(client), client.raw("PersistClickData", b"\xff")):
                    assert await _code(call) == grpc.StatusCode.UNAUTHENTICATED, secret
                assert await client.health() == SERVING  # nobody is asked for a key there


async def test_an_account_writes_and_reads_its_own(bare: Stack) -> None:
    with running_issuer() as issuer:
        issuer.add_ec("key")
        taking = {"FOOTFALL_JWKS_URL": issuer.url, "FOOTFALL_JWT_ISSUER": ISSUER, "FOOTFALL_JWT_AUDIENCE": AUDIENCE}
        with grpc_beside(bare, **taking) as door:
            async with connected(door, issuer.token("alice", "key")) as client:
                assert (await _persist(client, "alice")).message == "success"
                await _retrieve(client, "alice")
                for call in (
                    _persist(client, "bob"),
                    _retrieve(client, "bob"),
                    client.PersistOrderData(user_id="bob", data=[order()]),
                    client.RetrieveInteractions(user_id="bob", interaction_types=[0], **lately()),
                    _persist(client, ""),
                ):
                    assert await _code(call) == grpc.StatusCode.PERMISSION_DENIED
            async with connected(door, issuer.token("alice", "key", exp=1)) as client:
                assert await _code(_persist(client)) == grpc.StatusCode.UNAUTHENTICATED


async def test_an_event_counts_as_one_however_many_come_at_once(stack: Stack) -> None:
    with grpc_beside(stack, FOOTFALL_RATE_LIMIT_CALLER="50/hour") as door:
        async with connected(door) as client:
            forty = [click(number) for number in range(40)]
            await client.PersistClickData(user_id="rated", data=forty)
            refused = await _refusal(client.PersistClickData(user_id="rated", data=forty))
            assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert retry_delay_s(refused) >= 1
            assert (await _persist(client, "rated")).message == "success"


async def test_an_address_has_its_limit(stack: Stack) -> None:
    with grpc_beside(stack, FOOTFALL_RATE_LIMIT_ADDRESS="3/hour") as door:
        async with connected(door) as client:
            for _ in range(3):
                await _retrieve(client)
            assert await _code(_retrieve(client)) == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_too_large_a_backlog_says_when_to_come_again(bare: Stack) -> None:
    with grpc_beside(bare, FOOTFALL_BACKLOG_LIMIT_EVENTS="10") as door:
        async with connected(door) as client:
            await client.PersistClickData(user_id="alice", data=[click(number) for number in range(10)])
            refused = await _refusal(_persist(client))
    assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_delay_s(refused) >= 1
    assert dict(refused.trailing_metadata())["grpc-retry-pushback-ms"] == str(round(retry_delay_s(refused) * 1_000))


async def test_more_calls_than_there_is_room_for_are_told_to_come_again(bare: Stack) -> None:
    with grpc_beside(bare, FOOTFALL_REQUESTS_AT_ONCE="2") as door:
        async with connected(door) as client:
            async with no_commits(bare.database_url):
                let_in = [asyncio.ensure_future(_persist(client, user)) for user in ("a", "b")]
                await asyncio.sleep(1)
                refused = await _refusal(_persist(client, "c"))
                await _retrieve(client)
                assert await client.health(SERVICE) == SERVING
            assert [one.message for one in await asyncio.gather(*let_in)] == ["success"] * 2
            assert (await _persist(client, "c")).message == "success"
    assert (refused.code(), retry_delay_s(refused)) == (grpc.StatusCode.UNAVAILABLE, 2)


async def test_an_account_of_another_shard_is_refused_and_told_which(bare: Stack) -> None:
    foreign = next(name for number in range(100) if shard_of(name := f"u{number}", 2) == 1)
    with grpc_beside(bare, FOOTFALL_SHARD="0/2") as door:
        async with connected(door) as client:
            for call in (_persist(client, foreign), _retrieve(client, foreign)):
                refused = await _refusal(call)
                assert refused.code() == grpc.StatusCode.FAILED_PRECONDITION
                assert "shard 1/2" in (refused.details() or "")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"FOOTFALL_HOST": "0.0.0.0"}, "footfall keys create"),
        ({"FOOTFALL_GRPC_PORT": "0"}, "FOOTFALL_GRPC_PORT"),
    ],
)
async def test_it_does_not_start_where_it_should_not(bare: Stack, settings: dict[str, str], says: str) -> None:
    port = {"FOOTFALL_GRPC_PORT": str(free_port("127.0.0.1", 0))}
    done = await footfall(replace(bare, settings={**port, **settings}), "grpc")
    assert done.code == 1
    assert says in done.err
    assert "Traceback" not in done.err


async def test_a_port_that_is_taken_is_named(bare: Stack) -> None:
    with grpc_beside(bare) as door:
        async with connected(door):
            done = await footfall(door, "grpc")
    assert (done.code, "Traceback" in done.err) == (1, False)
    assert f"FOOTFALL_GRPC_PORT: {target(door)} can't be listened on" in done.err


# What it tells


async def test_health_by_dependency_and_of_all(bharatml: Client) -> None:
    for name in ("", SERVICE, "postgres", "block_store", "temporal"):
        assert await bharatml.health(name) == SERVING, name
    assert await _code(bharatml.health("nothing")) == grpc.StatusCode.NOT_FOUND


async def test_reflection_describes_the_service(door: Stack, bharatml: Client) -> None:
    del bharatml

    def ask() -> tuple[set[str], set[str]]:
        with grpc.insecure_channel(target(door)) as channel:
            described = ProtoReflectionDescriptorDatabase(channel)
            file = described.FindFileContainingSymbol(SERVICE)
            return set(described.get_services()), {one.name for service in file.service for one in service.method}

    names, methods = await asyncio.to_thread(ask)
    assert {SERVICE, "grpc.health.v1.Health"} <= names
    assert methods == {
        *("PersistClickData", "PersistOrderData"),
        *("RetrieveClickInteractions", "RetrieveOrderInteractions", "RetrieveInteractions"),
    }


async def test_what_it_counts_is_told(bare: Stack) -> None:
    port = free_port("127.0.0.1", 0)
    with grpc_beside(bare, FOOTFALL_GRPC_METRICS_PORT=str(port)) as door:
        async with connected(door) as client:
            sent = [click(1, 5 + now_ms()), click(2)]
            await client.PersistClickData(user_id="alice", data=sent)
            await client.PersistClickData(user_id="alice", data=sent)
            await _refusal(client.PersistClickData(user_id="", data=sent))
            async with httpx.AsyncClient() as http:
                told = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    for line in (
        "footfall_interactions_accepted_total 2.0",
        "footfall_interactions_duplicate_total 2.0",
        'footfall_requests_refused_total{reason="unprocessable_entity",status="422"} 1.0',
        "footfall_backlog_events 2.0",
    ):
        assert line in told.splitlines(), told
    assert 'process="grpc"' in told


# When something is gone


async def test_a_deadline_ends_the_call_and_what_it_may_have_recorded_counts_once(
    bharatml: Client, stack: Stack, http: httpx.AsyncClient
) -> None:
    product, now = uuid4().int % 2**31, now_ms()
    async with no_commits(stack.database_url):
        call = bharatml.PersistClickData(user_id="late", data=[click(product, now)], timeout=0.5)
        assert await _code(call) == grpc.StatusCode.DEADLINE_EXCEEDED
    await bharatml.PersistClickData(user_id="late", data=[click(product, now)])

    async def counted() -> None:
        assert (await http.get(f"/popularity/{product}")).json().get("view_count") == 1

    await eventually(counted)
    await asyncio.sleep(1)
    await counted()


async def test_told_to_end_it_says_so_first_and_serves_on(bare: Stack) -> None:
    with grpc_beside(bare, FOOTFALL_LEAVE_S="3") as door:
        async with connected(door) as client:
            process = door.processes["grpc"]
            process.send_signal(signal.SIGTERM)

            async def says_so() -> None:
                assert {await client.health(name) for name in ("", SERVICE, "postgres")} == {NOT_SERVING}

            await eventually(says_so, within_s=3)
            assert (await _persist(client)).message == "success"
            assert await asyncio.to_thread(process.wait, _STOP_S) == 0


async def test_an_end_under_load_loses_no_answered_call(stack: Stack, http: httpx.AsyncClient) -> None:
    product, now = uuid4().int % 2**31, now_ms()
    numbers = iter(range(10_000_000))
    answered: list[int] = []
    unanswered: list[int] = []

    async def send(client: Client) -> None:
        while True:
            number = next(numbers)
            sent = [click(product, now - place, metadata=str(number)) for place in range(5)]
            try:
                await client.PersistClickData(user_id=f"u{number % 7}", data=sent)
            except grpc.aio.AioRpcError as error:
                assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}, error  # noqa: PT017
                unanswered.append(number)
                return
            answered.append(number)

    with grpc_beside(stack, FOOTFALL_LEAVE_S="0.2") as door:
        async with connected(door) as client:
            sending = [asyncio.create_task(send(client)) for _ in range(16)]
            await asyncio.sleep(1)
            assert answered
            process = door.processes["grpc"]
            process.send_signal(signal.SIGTERM)
            await asyncio.gather(*sending)
            assert await asyncio.to_thread(process.wait, _STOP_S) == 0

    async def counted(least: int, most: int) -> None:
        found = (await http.get(f"/popularity/{product}")).json().get("view_count", 0)
        assert least <= found <= most

    events = 5
    await eventually(lambda: counted(events * len(answered), events * (len(answered) + len(unanswered))))
    with grpc_beside(stack) as door:
        async with connected(door) as client:
            for number in unanswered:
                sent = [click(product, now - place, metadata=str(number)) for place in range(events)]
                await client.PersistClickData(user_id=f"u{number % 7}", data=sent)
    exactly = events * (len(answered) + len(unanswered))
    await eventually(lambda: counted(exactly, exactly), within_s=60)


@pytest.fixture(scope="module")
def hurt(servers_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of our own, to be killed."""
    server = EmbeddedPostgres(servers_dir / "grpc" / "postgres", servers_dir / "grpc")
    server.start()
    asyncio.run(migrate_postgres(server.url))
    yield server
    server.stop()


async def test_without_postgresql_it_says_when_to_come_again(
    hurt: EmbeddedPostgres, temporal: Temporal, tmp_path: Path
) -> None:
    hurt.stop()
    with grpc_beside(Stack(hurt.url, temporal.address, tmp_path)) as door:
        async with connected(door) as client:
            assert await client.health(SERVICE) == NOT_SERVING  # it can't accept yet
            await _is_without_postgresql(client)
            hurt.start()

            async def works() -> None:
                try:
                    await _persist(client)
                    await _retrieve(client)
                except grpc.aio.AioRpcError as error:
                    raise AssertionError from error
                assert {await client.health(name) for name in ("", SERVICE, "postgres")} == {SERVING}

            await eventually(works, within_s=60)
            hurt.stop()
            await _is_without_postgresql(client)
            assert await client.health(SERVICE) == SERVING  # elsewhere it is no better
            hurt.start()
            await eventually(works, within_s=60)


async def _is_without_postgresql(client: Client) -> None:
    for call in (_persist(client), _retrieve(client)):
        refused = await _refusal(call)
        assert (refused.code(), retry_delay_s(refused)) == (grpc.StatusCode.UNAVAILABLE, 2)

    async def says_so() -> None:
        assert {await client.health(name) for name in ("", "postgres", "block_store")} == {NOT_SERVING}

    await eventually(says_so)
    assert await client.health("temporal") == SERVING


async def test_it_ends_though_postgresql_is_frozen(
    hurt: EmbeddedPostgres, temporal: Temporal, tmp_path: Path
) -> None:
    with grpc_beside(Stack(hurt.url, temporal.address, tmp_path)) as door:
        async with connected(door) as client:
            await _persist(client)
            assert hurt.process is not None
            process = door.processes["grpc"]
            with frozen(hurt.process.pid):
                unanswered = asyncio.ensure_future(_persist(client))
                await asyncio.sleep(0.5)
                process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(process.wait, _STOP_S)
            assert await _code(unanswered) in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
