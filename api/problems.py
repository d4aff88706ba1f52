"""Errors as RFC 9457 problem details, whoever raises them: ours, the framework's, or nobody foresaw them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.metrics import REFUSED
from domain.errors import ConflictError, FootfallError, InvalidInputError, PermanentError, TransientError

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2

Place = Literal["body", "query", "path", "header"]


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(description="JSON pointer to what is wrong, from the root of what `in` names.")
    reason: str
    place: Place = Field("body", alias="in")
    index: int | None = Field(None, description="Which of those sent, counted from 0.")
    line: int | None = Field(None, description="On which line of an NDJSON body, counted from 1.")


class ProblemBody(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Fault] = Field(default_factory=list)


class Problem(Exception):  # noqa: N818  (RFC 9457's own word)
    """An answer that is a problem; raised anywhere below a route."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.reason = reason or status.phrase.lower().replace(" ", "_")


def fault(
    pointer: str, reason: str, *, place: Place = "body", index: int | None = None, line: int | None = None
) -> dict[str, Any]:
    """One entry of a problem's `errors`."""
    found: dict[str, Any] = {"pointer": pointer, "reason": reason, "in": place}
    if index is not None:
        found["index"] = index
    if line is not None:
        found["line"] = line
    return found


def pointer(path: Iterable[str | int]) -> str:
    """A JSON pointer as a URI fragment (RFC 6901, section 6), readable: only ~ and / are escaped."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def invalid(where: str, reason: str, *, place: Place) -> Problem:
    """A 422 about one parameter."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{where}: {reason}",
        errors=[fault(pointer([where]), reason, place=place)],
    )


def problem_response(request: Request, problem: Problem) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        "instance": request.scope["path"],
    }
    if problem.errors:
        body["errors"] = problem.errors
    REFUSED.labels(problem.reason, str(int(problem.status))).inc()
    return Response(msgspec.json.encode(body), problem.status, media_type=MEDIA_TYPE, headers=dict(problem.headers))


def problem_of(error: FootfallError) -> Problem:
    """How an error of ours looks from outside; the one table of status codes."""
    retry = {"Retry-After": str(RETRY_AFTER_S)}
    match error:
        case InvalidInputError():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case ConflictError():
            return Problem(HTTPStatus.CONFLICT, str(error))
        case TransientError():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "A store does not answer now.", headers=retry)
        case PermanentError():
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Stored data could not be read.")
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "An error that nobody foresaw.")


def own_error_response(request: Request, error: FootfallError) -> Response:
    if isinstance(error, PermanentError | TransientError):
        _log.error("%s %s: %s", request.method, request.url.path, error)
    return problem_response(request, problem_of(error))


def add_problem_handlers(app: FastAPI) -> None:
    """Makes every error answer of `app` a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(FootfallError, _on_own_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unforeseen)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    return problem_response(request, error)


async def _on_own_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FootfallError)  # noqa: S101
    return own_error_response(request, error)


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = []
    for one in error.errors():
        place, *path = one["loc"]
        known: Place = place if place in ("body", "query", "path", "header") else "body"
        faults.append(fault(pointer(path), one["msg"], place=known))
    detail = "; ".join(f"{one['in']} {one['pointer']}: {one['reason']}" for one in faults)
    return problem_response(request, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=faults))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    detail = error.detail
    if status == HTTPStatus.NOT_FOUND:
        detail = f"There is no {request.url.path} here."
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not a method of {request.url.path}."
    return problem_response(request, Problem(status, detail, headers=error.headers))


async def _on_unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed in a way that nobody foresaw", request.method, request.url.path, exc_info=error)
    return problem_response(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "An error that nobody foresaw."))
