"""Asks every request who it is from, before anything else sees it."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Asked

from api.problems import Problem, problem_response
from api.security.rules import Found, RouteRules, Rule
from domain.access import ANYBODY, Caller

if TYPE_CHECKING:
    from api.services import Services


class Access:
    """Lets through to the application what its rule allows, with `caller` in the request's state.

    It stands in front of HotRoutes and the framework alike, and what has no rule does not get past it.
    """

    def __init__(self, app: ASGIApp, *, rules: RouteRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, asked: Asked, receive: Receive, send: Send) -> None:
        if asked["type"] == "http":
            try:
                asked["state"]["caller"] = await self._admitted(asked)
            except Problem as problem:
                await problem_response(Request(asked), problem)(asked, receive, send)
                return
        await self._app(asked, receive, send)

    async def _admitted(self, asked: Asked) -> Caller:
        found = self._rules.find(asked["method"], asked["path"])
        if found is not None and not found.rule.scopes:
            return ANYBODY
        services: Services = asked["state"]["services"]
        rates = services.gate.rates
        if rates is not None and (client := asked["client"]) is not None:
            rates.count_address(client[0])
        if found is None:
            raise self._not_found(asked)
        caller = await services.gate.caller(asked)
        if rates is not None:
            rates.count_caller(caller)
        if caller.account_id is None:
            insist_on_scope(caller, found.rule)
        else:
            insist_on_own(caller.account_id, found)
        return caller

    def _not_found(self, asked: Asked) -> Problem:
        methods = self._rules.methods(asked["path"])
        if not methods:
            return Problem(HTTPStatus.NOT_FOUND, f"There is no {asked['path']} here.")
        detail = f"{asked['method']} is not a method of {asked['path']}."
        return Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": ", ".join(methods)})


def insist_on_scope(caller: Caller, rule: Rule) -> None:
    """Raises Problem: 403. The caller, who is no account, may not do this."""
    if not any(scope in caller.scopes for scope in rule.scopes):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"This needs the scope {' or '.join(rule.scopes)}, which {caller.name} has not.",
            reason="scope",
        )


def insist_on_own(account_id: str, found: Found) -> None:
    """What a body says whose it is, its route checks: see api/own.py.

    Raises:
        Problem: 403. It is another account's, or not for accounts.

    """
    if found.rule.accounts == "none":
        raise Problem(HTTPStatus.FORBIDDEN, "This is not for accounts: it needs an API key.", reason="scope")
    if found.rule.accounts == "own" and found.account_id not in (None, account_id):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"The token is of account {account_id!r}, and of no other.",
            reason="foreign_account",
        )
