"""Which scope a route asks for, and what of it is an account's own: the one table of it.

A route that is not in the table answers nobody.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from starlette.routing import compile_path

from api.paths import know_text_in_paths
from domain.access import Scope

know_text_in_paths()

Accounts = Literal["own", "all", "none"]
"""What a caller whose token names an account gets of a route: what is that account's, by the path or the body
(`own`); what it says to everybody (`all`); nothing (`none`)."""


class Rule(NamedTuple):
    scopes: tuple[Scope, ...]
    """A key needs one of these; none: nobody is asked for a key."""
    accounts: Accounts


_INGEST: Final = ("ingest",)
_READ: Final = ("read",)
_OPERATE: Final = ("operate",)
_EITHER: Final = ("ingest", "read")
_OPEN = Rule((), "all")

# What only adds is `ingest`: such a key may be in apps, where others find it. What changes or removes what is there
# for everybody is `operate`. A receipt names no account, so there is no telling whose it is.
TABLE: Mapping[tuple[str, str], Rule] = {
    ("POST", "/interaction"): Rule(_INGEST, "own"),
    ("POST", "/feedback"): Rule(_INGEST, "own"),
    ("GET", "/interaction/{event_id}"): Rule(_EITHER, "none"),
    ("GET", "/batches/{batch_id}"): Rule(_EITHER, "none"),
    ("GET", "/interactions/{account_id:text}"): Rule(_READ, "own"),
    ("DELETE", "/interactions/{account_id:text}"): Rule(_OPERATE, "none"),
    ("GET", "/interactions/{account_id:text}/export"): Rule(_OPERATE, "own"),
    ("GET", "/erasures/{erasure_id}"): Rule(_OPERATE, "none"),
    ("GET", "/recommendations/{account_id:text}"): Rule(_READ, "own"),
    ("GET", "/popularity/top"): Rule(_READ, "all"),
    ("GET", "/popularity/{product_id:text}"): Rule(_READ, "all"),
    ("GET", "/items"): Rule(_READ, "all"),
    ("GET", "/items/{item_id:text}"): Rule(_READ, "all"),
    ("PUT", "/items"): Rule(_OPERATE, "none"),
    ("DELETE", "/items/{item_id:text}"): Rule(_OPERATE, "none"),
    ("GET", "/users/{account_id:text}"): Rule(_READ, "own"),
    ("PUT", "/users"): Rule(_OPERATE, "none"),
    ("DELETE", "/users/{account_id:text}"): Rule(_OPERATE, "none"),
    ("GET", "/experiments"): Rule(_READ, "none"),
    ("GET", "/experiments/{name}"): Rule(_READ, "none"),
    ("GET", "/metrics"): Rule(_READ, "none"),
    ("GET", "/health/live"): _OPEN,
    ("GET", "/health/ready"): _OPEN,
    ("GET", "/health/serving"): _OPEN,
    ("GET", "/docs"): _OPEN,
    ("GET", "/docs/oauth2-redirect"): _OPEN,
    ("GET", "/redoc"): _OPEN,
    ("GET", "/openapi.json"): _OPEN,
}


class Routed(Protocol):
    """What we ask of a route of Starlette's."""

    path: str
    methods: set[str] | None


class Found(NamedTuple):
    rule: Rule
    account_id: str | None
    """The account that the path names, if it names one."""


class _Entry(NamedTuple):
    pattern: re.Pattern[str]
    rules: Mapping[str, Rule]


class RouteRules:
    """Finds the rule of a request in the order in which the routes are asked for it: the first that fits has it.

    `routes` are pairs of a prefix and a route below it. Methods that a route has and the table has not are not found.
    """

    def __init__(self, routes: Sequence[tuple[str, Routed]]) -> None:
        self._exact: dict[tuple[str, str], Found] = {}
        self._entries: list[_Entry] = []
        for prefix, route in routes:
            rules = {method: rule for method in route.methods or () if (rule := _rule(method, route.path))}
            self._entries.append(_Entry(compile_path(prefix + route.path)[0], rules))
        for prefix, route in routes:
            self._remember_exact(prefix + route.path, route.methods or ())

    def find(self, method: str, path: str) -> Found | None:
        return self._exact.get((method, path)) or self._search(method, path)

    def methods(self, path: str) -> list[str]:
        """Those that the path can be asked by; none where there is no such path."""
        fitting = [entry for entry in self._entries if entry.pattern.match(path)]
        return sorted({method for entry in fitting for method in entry.rules})

    def _search(self, method: str, path: str) -> Found | None:
        for pattern, rules in self._entries:
            matched = pattern.match(path)
            if matched and method in rules:
                return Found(rules[method], matched.groupdict().get("account_id"))
        return None

    def _remember_exact(self, path: str, methods: Iterable[str]) -> None:
        """A path without a parameter is looked up and not searched: POST /interaction is most of the traffic."""
        if "{" in path:
            return
        for method in methods:
            found = self._search(method, path)
            if found is not None:
                self._exact[method, path] = found


def _rule(method: str, path: str) -> Rule | None:
    return TABLE.get(("GET" if method == "HEAD" else method, path))
