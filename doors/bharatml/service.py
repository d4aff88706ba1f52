"""The five calls of InteractionStoreTimeSeriesService."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError, Message

from api.admission import Room
from api.problems import RETRY_AFTER_S, Problem, problem_of
from api.security.access import insist_on_own, insist_on_scope
from api.security.gate import Gate
from api.security.rules import Found, Rule
from api.sharding import check_shard
from domain.access import Caller
from domain.errors import FootfallError, PermanentError, TransientError
from domain.interaction import Interaction
from domain.shard import Shard
from doors.bharatml import interaction_store_pb2 as pb
from doors.bharatml.errors import refuse
from doors.bharatml.mapping import CLICK_TYPE, ORDER_TYPE, fits, of_clicks, of_orders, tell_clicks, tell_orders
from doors.bharatml.ranges import Range, types_of
from intake.entrance import BacklogFullError, Entrance
from intake.ledger import LedgerDays, now_us
from store.blocks.history import read_history
from store.blocks.protocol import BlockReader

_log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["InteractionStoreTimeSeriesService"].full_name

_INGEST = Rule(("ingest",), "own")
_READ = Rule(("read",), "own")
_HELD_S = 1.0
_SUCCESS = pb.PersistDataResponse(message="success")


@dataclass(frozen=True, slots=True)
class Services:
    """What the calls work with."""

    gate: Gate
    entrance: Entrance
    ledger_days: LedgerDays
    blocks: BlockReader
    shard: Shard | None
    """None where the intake is not divided."""
    writes: Room
    reads: Room


_R = TypeVar("_R", bound=Message)
_Answer = Callable[[_R, Caller], Awaitable[Message]]


class InteractionStore:
    """Turns calls into what the other doors do as well: one record, or one read of the blocks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.closing = False
        """New calls are to go elsewhere: gRPC cuts off without a word what comes while a server stops."""

    def handler(self) -> grpc.GenericRpcHandler:
        """Requests come as bytes: who may not ask, or asks too much, has nothing of his read."""
        writes, reads = self._services.writes, self._services.reads
        calls = {
            "PersistClickData": self._call(pb.PersistClickDataRequest, _INGEST, writes, self._persist_clicks),
            "PersistOrderData": self._call(pb.PersistOrderDataRequest, _INGEST, writes, self._persist_orders),
            "RetrieveClickInteractions": self._call(pb.RetrieveDataRequest, _READ, reads, self._retrieve_clicks),
            "RetrieveOrderInteractions": self._call(pb.RetrieveDataRequest, _READ, reads, self._retrieve_orders),
            "RetrieveInteractions": self._call(pb.RetrieveInteractionsRequest, _READ, reads, self._retrieve),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE, {name: grpc.unary_unary_rpc_method_handler(call) for name, call in calls.items()}
        )

    def _call(
        self, request_type: type[_R], rule: Rule, room: Room, answer: _Answer[_R]
    ) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def call(data: bytes, context: Any) -> bytes:
            problem = None
            try:
                return await self._answered(data, context, request_type, rule, room, answer)
            except Problem as refused:
                problem = refused
            except FootfallError as error:
                if isinstance(error, PermanentError | TransientError):
                    _log.error("%s: %s", request_type.DESCRIPTOR.name, error)
                problem = problem_of(error)
            except Exception:
                _log.exception("%s failed in a way that nobody foresaw", request_type.DESCRIPTOR.name)
                problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "An error that nobody foresaw.")
            await refuse(context, problem)
            raise AssertionError("unreachable")

        return call

    async def _answered(
        self, data: bytes, context: Any, request_type: type[_R], rule: Rule, room: Room, answer: _Answer[_R]
    ) -> bytes:
        if self.closing:
            raise _unavailable("This process ends; nothing of this was read. Send it again.", "leaving")
        if not room.enter(len(data)):
            await asyncio.sleep(_HELD_S)  # not at once: see api/admission.py
            detail = "More is under way than can be answered soon; nothing of this was read. Send it again later."
            raise _unavailable(detail, "overload")
        try:
            caller = await self._caller(context, rule)
            try:
                request = request_type.FromString(data)
            except DecodeError as error:
                detail = f"This is no {request_type.DESCRIPTOR.full_name}: {error}"
                raise Problem(HTTPStatus.BAD_REQUEST, detail, reason="not_protobuf") from error
            user_id: str = request.user_id  # type: ignore[attr-defined]  # every request has one
            if caller.account_id is not None:
                insist_on_own(caller.account_id, Found(rule, user_id))
            check_shard(self._services.shard, (user_id,))
            return (await answer(request, caller)).SerializeToString()
        finally:
            room.leave(len(data))

    async def _caller(self, context: Any, rule: Rule) -> Caller:
        gate = self._services.gate
        if gate.rates is not None:
            gate.rates.count_address(address_of(context.peer()))
        # Without a Host header: no browser speaks HTTP/2 to a server without TLS, so none can be lured to this one.
        caller = await gate.caller({"headers": _credentials(context.invocation_metadata())})
        if gate.rates is not None:
            gate.rates.count_caller(caller)
        if caller.account_id is None:
            insist_on_scope(caller, rule)
        return caller

    async def _persist_clicks(self, request: pb.PersistClickDataRequest, caller: Caller) -> Message:
        now = now_us()
        return await self._record(of_clicks(request.user_id, request.data, now), caller, now)

    async def _persist_orders(self, request: pb.PersistOrderDataRequest, caller: Caller) -> Message:
        now = now_us()
        return await self._record(of_orders(request.user_id, request.data, now), caller, now)

    async def _record(self, interactions: Sequence[Interaction], caller: Caller, now: int) -> Message:
        services = self._services
        if services.gate.rates is not None:
            services.gate.rates.count_interactions(caller, len(interactions))
        file = services.ledger_days.file
        try:
            await services.entrance.record([file(one, now) for one in interactions])
        except BacklogFullError as full:
            headers = {"Retry-After": str(full.retry_after_s)}
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, str(full), headers=headers, reason="backlog") from full
        except FootfallError as error:
            detail = "The events could not be made durable, or it is not known. They may safely be sent again."
            raise _unavailable(detail, "not_durable") from error
        return _SUCCESS

    async def _retrieve_clicks(self, request: pb.RetrieveDataRequest, _caller: Caller) -> Message:
        answer = pb.RetrieveClickDataResponse()
        tell_clicks(await self._read(request.user_id, Range.of(request, now_us()), CLICK_TYPE), answer.data.add)
        return answer

    async def _retrieve_orders(self, request: pb.RetrieveDataRequest, _caller: Caller) -> Message:
        answer = pb.RetrieveOrderDataResponse()
        tell_orders(await self._read(request.user_id, Range.of(request, now_us()), ORDER_TYPE), answer.data.add)
        return answer

    async def _retrieve(self, request: pb.RetrieveInteractionsRequest, _caller: Caller) -> Message:
        wanted, types = Range.of(request, now_us()), types_of(request)
        answer = pb.RetrieveInteractionsResponse()
        if pb.CLICK in types:
            clicks = await self._read(request.user_id, wanted, CLICK_TYPE)
            tell_clicks(clicks, answer.data["CLICK"].click_events.add)
        if pb.ORDER in types:
            orders = await self._read(request.user_id, wanted, ORDER_TYPE)
            tell_orders(orders, answer.data["ORDER"].order_events.add)
        return answer

    async def _read(self, user_id: str, wanted: Range, event_type: str) -> list[Interaction]:
        history = wanted.history({event_type}, fits)
        return await read_history(self._services.blocks, user_id, history, wanted.limit)


def address_of(peer: str) -> str | None:
    """The address in gRPC's name of a peer: ipv4:10.0.0.1:4242, or ipv6:[::1]:4242 with its brackets escaped."""
    kind, _, where = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return unquote(where).rpartition(":")[0].strip("[]")


def _credentials(metadata: Any) -> list[tuple[bytes, bytes]]:
    return [
        (key.encode(), value if isinstance(value, bytes) else value.encode())
        for key, value in metadata or ()
        if key in ("authorization", "x-api-key")
    ]


def _unavailable(detail: str, reason: str) -> Problem:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers, reason=reason)
