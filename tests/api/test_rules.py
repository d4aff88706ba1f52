"""The table of scopes against the routes that there are."""

import contextlib
from typing import Any

from fastapi import APIRouter, FastAPI

from api.app import Bounds, all_routes, create_app
from api.leaving import Leaving
from api.limits import LongestBodies
from api.security.rules import TABLE, RouteRules

LEGACY = "/api/v1/analytic"


def app() -> FastAPI:
    def nothing(_app: FastAPI) -> Any:
        return contextlib.nullcontext({})

    return create_app(
        nothing, version="0", bounds=Bounds(LongestBodies(1024, 1024), 1, 1024, 1024), leaving=Leaving()
    )


def test_every_route_is_in_the_table() -> None:
    routes = [
        (method, route.path) for _, route in all_routes(app()) for method in route.methods or () if method != "HEAD"
    ]
    assert len(routes) > 40
    assert set(routes) <= set(TABLE)


def test_every_entry_of_the_table_is_a_route() -> None:
    routes = {(method, route.path) for _, route in all_routes(app()) for method in route.methods or ()}
    assert set(TABLE) <= routes


def test_all_routes_are_those_that_the_application_answers() -> None:
    made = app()
    documented = {(method.upper(), path) for path, methods in made.openapi()["paths"].items() for method in methods}
    plain = {
        (method, prefix + route.path.replace(":text", ""))
        for prefix, route in all_routes(made)
        for method in route.methods or ()
        if not prefix
    }
    assert documented <= plain
    prefixed = {route.path for prefix, route in all_routes(made) if prefix == LEGACY}
    assert prefixed == {
        route.path for prefix, route in all_routes(made) if not prefix and "doc" not in route.path
    } - {"/openapi.json"}


def test_a_route_that_is_not_in_the_table_answers_nobody() -> None:
    router = APIRouter()

    @router.get("/secrets")
    async def secrets() -> str:
        return "all"

    @router.delete("/popularity/top")
    async def forgotten() -> str:
        return "gone"

    rules = RouteRules([("", route) for route in router.routes])  # type: ignore[misc]  # all of them have methods
    assert rules.find("GET", "/secrets") is None
    assert rules.find("DELETE", "/popularity/top") is None


def test_the_route_that_answers_is_the_one_whose_rule_is_taken() -> None:
    rules = RouteRules(list(all_routes(app())))
    for prefix in ("", LEGACY):
        top, one = rules.find("GET", f"{prefix}/popularity/top"), rules.find("GET", f"{prefix}/popularity/topmost")
        assert top is not None
        assert one is not None
        own = rules.find("GET", f"{prefix}/interactions/a/b\nc")
        assert own is not None
        assert own.account_id == "a/b\nc"
    assert rules.find("GET", LEGACY + LEGACY + "/popularity/top") is None
    assert rules.methods("/items/x") == ["DELETE", "GET"]


def test_the_document_says_which_operations_ask_for_a_key() -> None:
    document = app().openapi()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    asking = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    }
    assert asking == {(method, path.replace(":text", "")) for (method, path), rule in TABLE.items() if rule.scopes}
