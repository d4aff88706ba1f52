"""The CQL session: credentials, TLS, the driver's errors as ours, and results that find their way to the loop."""

import asyncio
import random
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import InvalidInputError, PermanentError, TransientError
from runtime.ports import free_port
from store.cql import CqlCluster, CqlSession, open_session
from tests.slow_link import SlowLink, slow_link

_NUMBERS = "CREATE TABLE IF NOT EXISTS {keyspace}.numbers (n int PRIMARY KEY)"


@pytest.fixture
async def link(cql_cluster: CqlCluster) -> AsyncIterator[SlowLink]:
    (host,) = cql_cluster.contact_points
    async with slow_link(lambda: asyncio.open_connection(host, cql_cluster.port)) as link:
        yield link


async def test_many_calls_at_once_each_get_their_own_answer(cql_session: CqlSession) -> None:
    await cql_session.execute(_NUMBERS, profile="write")
    insert = await cql_session.prepare("INSERT INTO {keyspace}.numbers (n) VALUES (?)")
    statement = await cql_session.prepare("SELECT n FROM {keyspace}.numbers WHERE n = ?")
    await asyncio.gather(*(cql_session.execute(insert, (n,), profile="write") for n in range(2_000)))
    answers = await asyncio.gather(*(cql_session.execute(statement, (n,), profile="read") for n in range(2_000)))
    assert answers == [[(n,)] for n in range(2_000)]


async def test_a_cancelled_call_leaves_the_session_sound(cql_session: CqlSession) -> None:
    await cql_session.execute(_NUMBERS, profile="write")
    insert = await cql_session.prepare("INSERT INTO {keyspace}.numbers (n) VALUES (?)")
    statement = await cql_session.prepare("SELECT n FROM {keyspace}.numbers WHERE n = ?")
    for n in range(50):
        await cql_session.execute(insert, (n,), profile="write")
        call = asyncio.create_task(cql_session.execute(statement, (n,), profile="read"))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await cql_session.execute(statement, (n,), profile="read") == [(n,)]


async def test_pages_come_one_after_the_other(cql_session: CqlSession) -> None:
    await cql_session.execute(
        "CREATE TABLE IF NOT EXISTS {keyspace}.pages (a int, b int, PRIMARY KEY (a, b))", profile="write"
    )
    insert = await cql_session.prepare("INSERT INTO {keyspace}.pages (a, b) VALUES (1, ?)")
    await asyncio.gather(*(cql_session.execute(insert, (n,), profile="write") for n in range(25)))
    select = await cql_session.prepare("SELECT b FROM {keyspace}.pages WHERE a = ?")
    pages = [page async for page in cql_session.pages(select, (1,), rows_a_page=10)]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [row for page in pages for row in page] == [(n,) for n in range(25)]


async def test_requests_wait_for_a_socket_that_takes_no_more(cql_cluster: CqlCluster, link: SlowLink) -> None:
    async with open_session(replace(cql_cluster, port=link.port, timeout_s=30)) as session:
        link.hold_requests()
        work = asyncio.create_task(_write_and_read_large_values(session))
        await asyncio.sleep(0.5)
        link.let_go()
        await work


async def test_queries_start_in_a_thread_when_a_connection_was_lost(
    cql_cluster: CqlCluster, link: SlowLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver would hold up the loop: it waits for a connection of a node that it takes to be up."""
    async with open_session(replace(cql_cluster, port=link.port)) as session:
        started_in: list[int] = []
        start = session._session.execute_async

        def execute_async(*args: object, **kwargs: object) -> object:
            started_in.append(threading.get_ident())
            return start(*args, **kwargs)

        monkeypatch.setattr(session._session, "execute_async", execute_async)
        await session.execute("SELECT key FROM system.local", profile="read")
        assert started_in == [threading.get_ident()]
        link.cut()
        await asyncio.sleep(0.1)  # the loop hears of it
        for _ in range(200):
            with suppress(TransientError):
                assert await session.execute("SELECT key FROM system.local", profile="read") == [("local",)]
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("no connection again")
        assert threading.get_ident() not in started_in[1:]


async def _write_and_read_large_values(session: CqlSession) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS {keyspace}.large (n int PRIMARY KEY, v blob)", profile="write")
    insert = await session.prepare("INSERT INTO {keyspace}.large (n, v) VALUES (?, ?)")
    select = await session.prepare("SELECT v FROM {keyspace}.large WHERE n = ?")
    values = [random.Random(n).randbytes(500_000) for n in range(20)]
    await asyncio.gather(*(session.execute(insert, (n, v), profile="write") for n, v in enumerate(values)))
    answers = await asyncio.gather(*(session.execute(select, (n,), profile="read") for n in range(len(values))))
    assert [value for ((value,),) in answers] == values


async def test_a_statement_that_is_wrong_is_a_permanent_error(cql_session: CqlSession) -> None:
    with pytest.raises(PermanentError, match="nothing_like_it"):
        await cql_session.prepare("SELECT * FROM {keyspace}.nothing_like_it")
    with pytest.raises(PermanentError, match="SyntaxException"):
        await cql_session.execute("SELECT nonsense", profile="read")


async def test_nobody_there_is_a_transient_error(cql_cluster: CqlCluster) -> None:
    nowhere = replace(cql_cluster, port=free_port("127.0.0.1", 0))
    with pytest.raises(TransientError, match="NoHostAvailable"):
        async with open_session(nowhere):
            pass


async def test_too_few_replicas_are_a_transient_error(cql_cluster: CqlCluster) -> None:
    async with open_session(replace(cql_cluster, read_consistency="THREE")) as session:
        with pytest.raises(TransientError, match="Unavailable"):
            await session.execute("SELECT week FROM {keyspace}.metadata WHERE account_id = 'a'", profile="read")


async def test_a_wrong_password_is_said_at_once(cql_cluster: CqlCluster) -> None:
    if cql_cluster.username is None:
        pytest.skip("this server asks for no password")
    with pytest.raises(InvalidInputError, match="Bad credentials"):
        async with open_session(replace(cql_cluster, password="wrong")):
            pass


async def test_tls_holds_the_node_to_its_certificate(cql_cluster: CqlCluster, servers_dir: Path) -> None:
    certificate = servers_dir / "cassandra" / "certificate.pem"
    if not certificate.exists():
        pytest.skip("this server has no certificate")
    trusted = ssl.create_default_context(cafile=certificate)
    async with open_session(replace(cql_cluster, tls=trusted)) as session:
        assert await session.execute("SELECT key FROM system.local", profile="read") == [("local",)]
        await _write_and_read_large_values(session)
    with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
        async with open_session(replace(cql_cluster, tls=ssl.create_default_context())):
            pass
