"""Connections to ScyllaDB or Cassandra, and the one place where the driver's errors become ours.

The driver's sockets are on our event loop (store/cql_loop.py), and its callbacks come there: no thread a call.
"""

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias
from uuid import UUID

import cassandra
from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, ExecutionProfile, NoHostAvailable, ResponseFuture, Session
from cassandra.connection import ConnectionException
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    NoSpeculativeExecutionPolicy,
    SpeculativeExecutionPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage, OverloadedErrorMessage, ServerError
from cassandra.query import BoundStatement, PreparedStatement, Statement, tuple_factory

from domain.errors import FootfallError, InvalidInputError, PermanentError, TransientError
from store.cql_loop import connections_on

Row: TypeAlias = tuple[Any, ...]
Profile = Literal["read", "write"]
"""How many replicas have to answer: as is set for reads, or as is set for writes."""

_CONNECT_TIMEOUT_S = 10.0
_RECONNECT_S = (0.5, 30.0)
_UUID_LENGTH = struct.pack(">i", 16)
# For so long after a connection was closed, queries start in a thread: the driver waits up to 2 s for a connection of
# a node that it does not know to be down, and finds that out by its heartbeats, every 30 s, at the latest.
_CAREFUL_S = 90.0
_PROTOCOL = 4  # what ScyllaDB and Cassandra both speak

# The server or the way to it could not do it now. A timeout leaves open whether a write was done: all of ours may
# be sent again.
_TRANSIENT = (
    cassandra.OperationTimedOut,
    cassandra.Timeout,
    cassandra.Unavailable,
    cassandra.CoordinationFailure,
    cassandra.RateLimitReached,
    ConnectionException,
    NoHostAvailable,
    OverloadedErrorMessage,
    ServerError,
    OSError,
)

DRIVER_ERRORS = (*_TRANSIENT, cassandra.DriverException, ErrorMessage)


@dataclass(frozen=True, slots=True)
class CqlCluster:
    """Where a cluster is and how to speak to it."""

    contact_points: Sequence[str]
    port: int
    keyspace: str
    replication_factor: int = 3
    local_dc: str | None = None
    """None: that of the contact point that answers first."""
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    read_consistency: str = "LOCAL_ONE"
    write_consistency: str = "LOCAL_QUORUM"
    timeout_s: float = 5.0
    speculative_after_s: float = 0.05
    """A read that has no answer after this time is sent to another replica too; 0 never."""


# Values as the protocol has them (native_protocol_v4.spec, section 6). The driver's own way there takes half of the
# time of a write, most of it to find out for each value what the statement said once.
text_bytes = str.encode
int_bytes = struct.Struct(">i").pack
bigint_bytes = struct.Struct(">q").pack


def uuids_bytes(ids: Sequence[UUID]) -> bytes:
    """A list of uuids, as `IN ?` takes it."""
    return int_bytes(len(ids)) + b"".join([_UUID_LENGTH + one.bytes for one in ids])


def bound(statement: PreparedStatement, values: Sequence[bytes]) -> BoundStatement:
    """A prepared statement with values that are bytes already."""
    filled = BoundStatement(statement)
    filled.values = values
    return filled


class CqlSession:
    """A session on the event loop that it was opened on.

    In the text of a statement `{keyspace}` stands for ours: names are qualified, and no session state names them.
    """

    def __init__(self, cluster: Cluster, session: Session, keyspace: str) -> None:
        self.cluster = cluster
        self.keyspace = keyspace
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    async def prepare(self, query: str) -> PreparedStatement:
        """A statement, known to all nodes; all of ours may be sent twice, so the driver is told."""
        with translated_errors():
            prepared = await self._loop.run_in_executor(None, self._session.prepare, self._qualified(query))
        prepared.is_idempotent = True
        return prepared

    async def execute(
        self,
        statement: Statement | PreparedStatement | str,
        values: Sequence[object] | None = None,
        *,
        profile: Profile,
    ) -> list[Row]:
        """All rows of all pages.

        Raises:
            TransientError: no node could do it in time; a write may have been done all the same.
            PermanentError: the statement is refused.

        """
        future: asyncio.Future[list[Row]] = self._loop.create_future()
        if isinstance(statement, str):
            statement = self._qualified(statement)
        try:  # and no context manager: this is the hottest path of the reads
            response = await self._start(statement, values, profile)
            arrive = partial(self._page_arrived, response, future, [])
            response.add_callbacks(arrive, partial(self._arrive, future, []))
            return await future
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def pages(
        self, statement: PreparedStatement, values: Sequence[object], *, rows_a_page: int
    ) -> AsyncIterator[list[Row]]:
        """Page after page, each fetched when it is asked for; read at the consistency of writes."""
        bound = statement.bind(values)
        bound.fetch_size = rows_a_page
        state: bytes | None = None
        while True:
            future: asyncio.Future[list[Row]] = self._loop.create_future()
            with translated_errors():
                response = await self._start(bound, None, "write", state)
                response.add_callbacks(partial(self._arrive_rows, future), partial(self._arrive, future, []))
                rows = await future
            yield rows
            state = response._paging_state  # noqa: SLF001  (its public name exists on ResultSet only)
            if state is None:
                return

    async def _start(
        self,
        statement: Statement | PreparedStatement | str,
        values: Sequence[object] | None,
        profile: Profile,
        paging_state: bytes | None = None,
    ) -> ResponseFuture:
        start = partial(
            self._session.execute_async, statement, values, execution_profile=profile, paging_state=paging_state
        )
        if time.monotonic() - self.cluster.connection_class.last_closed_s < _CAREFUL_S:
            return await self._loop.run_in_executor(None, start)
        return start()

    def _qualified(self, query: str) -> str:
        return query.replace("{keyspace}", self.keyspace)

    def _page_arrived(
        self, response: ResponseFuture, future: "asyncio.Future[list[Row]]", sofar: list[Row], page: list[Row] | None
    ) -> None:
        """Once a page."""
        if not response.has_more_pages:
            self._arrive(future, [*sofar, *page] if sofar and page else page or sofar, None)
            return
        sofar.extend(page or [])
        response.start_fetching_next_page()

    def _arrive_rows(self, future: "asyncio.Future[list[Row]]", page: list[Row] | None) -> None:
        self._arrive(future, page or [], None)

    def _arrive(self, future: "asyncio.Future[list[Row]]", rows: list[Row], error: BaseException | None) -> None:
        """On the loop, but for what went wrong in one of the driver's threads."""
        if threading.get_ident() == self._thread:
            _settle(future, rows, error)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_settle, future, rows, error)


def _settle(future: "asyncio.Future[list[Row]]", rows: list[Row], error: BaseException | None) -> None:
    if future.done():
        return  # cancelled meanwhile
    if error is None:
        future.set_result(rows)
    else:
        future.set_exception(error)


@asynccontextmanager
async def open_session(cluster: CqlCluster) -> AsyncIterator[CqlSession]:
    """A session with the cluster.

    Raises:
        TransientError: no contact point answers.
        InvalidInputError: it refuses our credentials.

    """
    driver = _driver(cluster)
    loop = asyncio.get_running_loop()
    try:
        with translated_errors():
            session = await loop.run_in_executor(None, driver.connect)
        yield CqlSession(driver, session, cluster.keyspace)
    finally:
        await loop.run_in_executor(None, driver.shutdown)


def _driver(cluster: CqlCluster) -> Cluster:
    read = ConsistencyLevel.name_to_value[cluster.read_consistency]
    write = ConsistencyLevel.name_to_value[cluster.write_consistency]
    eager: SpeculativeExecutionPolicy = NoSpeculativeExecutionPolicy()
    if cluster.speculative_after_s:
        eager = ConstantSpeculativeExecutionPolicy(cluster.speculative_after_s, 1)

    def profile(consistency: int, speculative: SpeculativeExecutionPolicy) -> ExecutionProfile:
        return ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(cluster.local_dc or "")),
            consistency_level=consistency,
            request_timeout=cluster.timeout_s,
            row_factory=tuple_factory,
            speculative_execution_policy=speculative,
        )

    return Cluster(
        list(cluster.contact_points),
        port=cluster.port,
        protocol_version=_PROTOCOL,
        compression=False,  # what is large is compressed already
        connect_timeout=_CONNECT_TIMEOUT_S,
        control_connection_timeout=_CONNECT_TIMEOUT_S,
        reconnection_policy=ExponentialReconnectionPolicy(*_RECONNECT_S),
        auth_provider=None
        if cluster.username is None
        else PlainTextAuthProvider(cluster.username, cluster.password or ""),
        ssl_context=cluster.tls,
        # Without it a batch of more than one packet waits 40 ms for an acknowledgement that the node holds back.
        connection_class=connections_on(asyncio.get_running_loop()),
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        execution_profiles={"read": profile(read, eager), "write": profile(write, NoSpeculativeExecutionPolicy())},
    )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Inside, the driver's errors come out as ours, with their cause kept."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translate(error) from error


def translate(error: BaseException) -> FootfallError:
    """Our error for one of the driver's."""
    if not isinstance(error, _TRANSIENT):
        return PermanentError(f"CQL: {type(error).__name__}: {error}")
    refused = _refused(error)
    if refused is not None:
        return InvalidInputError(f"CQL: {refused}")
    return TransientError(f"CQL: {type(error).__name__}: {error}")


def _refused(error: BaseException) -> str | None:
    """Why the cluster refuses us, where every contact point does."""
    if not isinstance(error, NoHostAvailable) or not isinstance(error.errors, dict):
        return None
    causes = list(error.errors.values())
    if causes and all(isinstance(cause, cassandra.AuthenticationFailed) for cause in causes):
        return str(causes[0])
    return None
