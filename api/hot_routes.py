"""The routes that traffic is made of, answered before the framework looks for them."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem, own_error_response, problem_response
from domain.errors import FootfallError

Endpoint = Callable[[Request], Awaitable[Response | None]]
"""An endpoint of FastAPI's that takes the request; None hands it on to the framework, nothing of it being read."""


class HotRoutes:
    """Hands a request with one of these methods and paths to its endpoint; all others go on to the framework.

    FastAPI documents these routes as any other. What it does to route a request and to solve its dependencies costs
    more than all that we do for it: docs/performance/log.md.
    """

    def __init__(self, app: ASGIApp, *, endpoints: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except Problem as problem:
            response = problem_response(request, problem)
        except FootfallError as error:
            response = own_error_response(request, error)
        if response is None:
            await self._app(scope, receive, send)
            return
        await response(scope, receive, send)
