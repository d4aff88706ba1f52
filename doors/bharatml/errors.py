"""How a problem looks by gRPC: the status, in words and for programs, and when to try again."""

import math
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from api.metrics import REFUSED
from api.problems import Problem
from doors.bharatml.rich_status_pb2 import BadRequest, RetryInfo, Status

_CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.CONFLICT: grpc.StatusCode.ABORTED,
    HTTPStatus.MISDIRECTED_REQUEST: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
# Clients take 8 KiB of metadata unless they are told to take more, and see nothing of an answer that is over it.
_MOST_VIOLATIONS = 20
_LONGEST_DETAIL = 1_000

_Metadata = tuple[tuple[str, str | bytes], ...]


async def refuse(context: "grpc.aio.ServicerContext[Any, Any]", problem: Problem) -> None:
    """Ends the call with the problem, and counts it as HTTP's are, by the status that it has there."""
    REFUSED.labels(problem.reason, str(int(problem.status))).inc()
    code, detail, metadata = status_of(problem)
    await context.abort(code, detail, metadata)


def status_of(problem: Problem) -> tuple[grpc.StatusCode, str, _Metadata]:
    """Code, message and trailing metadata: google.rpc.Status with RetryInfo and BadRequest, and for the retries that
    clients make by themselves, how long they are to wait.
    """
    code = _CODES.get(problem.status, grpc.StatusCode.INTERNAL)
    detail = problem.detail[:_LONGEST_DETAIL]
    status = Status(code=code.value[0], message=detail)
    metadata: _Metadata = ()
    if code is grpc.StatusCode.INVALID_ARGUMENT and problem.errors:
        violations = [
            BadRequest.FieldViolation(field=str(one["pointer"]), description=str(one["reason"]))
            for one in problem.errors[:_MOST_VIOLATIONS]
        ]
        status.details.append(_packed(BadRequest(field_violations=violations)))
    wait_s = problem.headers.get("Retry-After")
    if wait_s is not None:
        status.details.append(_packed(RetryInfo(retry_delay=Duration(seconds=math.ceil(float(wait_s))))))
        metadata = (("grpc-retry-pushback-ms", str(math.ceil(float(wait_s) * 1_000))),)
    if status.details:
        metadata = (*metadata, ("grpc-status-details-bin", status.SerializeToString()))
    return code, detail, metadata


def _packed(message: Message) -> AnyMessage:
    """By the name that the message has in google.rpc, for its readers."""
    return AnyMessage(
        type_url=f"type.googleapis.com/google.rpc.{message.DESCRIPTOR.name}", value=message.SerializeToString()
    )
