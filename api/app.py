"""The HTTP application: routers, limits, problem details. What it works with comes from its process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from api import (
    catalog,
    erasures,
    experiments,
    feedback,
    health,
    history,
    interaction,
    metrics,
    popularity,
    receipts,
    recommendations,
)
from api.admission import Admission
from api.assignments import HEADER
from api.hot_routes import Endpoint, HotRoutes
from api.leaving import CloseWhenLeaving, Leaving
from api.limits import BodyLimit, LongestBodies
from api.parsing import INTERACTIONS
from api.problems import add_problem_handlers
from api.security.access import Access
from api.security.rules import TABLE, Routed, RouteRules
from api.services import State

_LEGACY_PREFIX = "/api/v1/analytic"
_ROUTERS = (
    interaction.router,
    feedback.router,
    erasures.router,  # before history, whose accounts have any text for an id: …/export too
    history.router,
    receipts.router,
    popularity.router,
    catalog.router,
    recommendations.router,
    experiments.router,
    health.router,
    metrics.router,
)
_BODIES = (INTERACTIONS, feedback.FEEDBACK, catalog.ITEMS, catalog.PROFILES)

_HOT: dict[tuple[str, str], Endpoint] = {
    (method, prefix + path): endpoint
    for prefix in ("", _LEGACY_PREFIX)
    for method, path, endpoint in (
        ("POST", "/interaction", interaction.record_interactions),
        ("GET", "/popularity/top", popularity.top_products_at_once),
    )
}

HOT_PATHS = frozenset(path for _, path in _HOT)
"""Of routes that are answered before the framework looks for them; they have no parameters."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[State]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """On what one process takes."""

    longest_bodies: LongestBodies
    requests_at_once: int
    bytes_at_once: int
    ndjson_bytes_at_once: int


_CORS_METHODS = ("GET", "POST", "PUT", "DELETE")
_CORS_HEADERS = ("Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", HEADER)
_CORS_SHOWN = ("Retry-After", "RateLimit", "RateLimit-Policy", HEADER)


def create_app(
    lifespan: Lifespan, *, version: str, bounds: Bounds, leaving: Leaving, cors_origins: Sequence[str] = ()
) -> FastAPI:
    """The application; `lifespan` opens and closes its services."""
    app = FastAPI(
        title="Footfall",
        version=version,
        summary="What people do in a shop, recorded once, read in milliseconds.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.add_middleware(HotRoutes, endpoints=_HOT)
    app.add_middleware(BodyLimit, longest=bounds.longest_bodies)
    app.add_middleware(
        Admission,
        most_requests=bounds.requests_at_once,
        most_bytes=bounds.bytes_at_once,
        most_ndjson_bytes=bounds.ndjson_bytes_at_once,
        longest=bounds.longest_bodies,
    )
    # The last one added is asked first: nothing is read or looked up before it is known who asks.
    app.add_middleware(Access, rules=RouteRules(list(all_routes(app))))
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=cors_origins,
            allow_methods=_CORS_METHODS,
            allow_headers=_CORS_HEADERS,
            expose_headers=_CORS_SHOWN,
        )
    app.add_middleware(CloseWhenLeaving, leaving=leaving)
    add_problem_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
        app.include_router(router, prefix=_LEGACY_PREFIX, include_in_schema=False)
    _describe_bodies(app)
    return app


def all_routes(app: FastAPI) -> Iterator[tuple[str, Routed]]:
    """Every route, with the prefix that it is below, in the order in which they are asked for."""
    yield from (("", route) for route in app.routes if isinstance(route, Route))
    for router in _ROUTERS:
        routes = [route for route in router.routes if isinstance(route, APIRoute)]
        yield from ((prefix, route) for prefix in ("", _LEGACY_PREFIX) for route in routes)


def _describe_bodies(app: FastAPI) -> None:
    """Adds the schemas of the bodies that are read as bytes to the OpenAPI document."""
    made = app.openapi

    def openapi() -> dict[str, object]:
        document = made()
        schemas = document["components"]["schemas"]
        _describe_access(document)
        for model in (model for body in _BODIES for model in body.models):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI has its document extended


def _describe_access(document: dict[str, Any]) -> None:
    """Says which operations ask for a key. A document is made once and handed out again: again it changes nothing."""
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or an account's token (JWT)."},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for (method, path), rule in TABLE.items():
        operation = document["paths"].get(path.replace(":text", ""), {}).get(method.lower())
        if operation is not None and rule.scopes:
            operation["security"] = [{"bearer": []}, {"key": []}]
            operation["x-footfall-scopes"] = list(rule.scopes)
