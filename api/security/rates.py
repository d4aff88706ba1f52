"""How much one address and one caller may ask in a time. Counted in this process alone."""

import math
import time
from http import HTTPStatus
from ipaddress import IPv6Address, ip_network

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.problems import Problem
from domain.access import Caller

_IPV6_PREFIX = 64


class Rates:
    """A request weighs 1; one that records weighs as many as the interactions in it, for its caller.

    Windows are fixed: they are the cheapest that the library has, and let a caller have twice its share around the
    turn of a window at the most, which the backlog's bound is there for.
    """

    def __init__(self, per_address: str | None, per_caller: str | None) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._per_address = None if per_address is None else parse(per_address)
        self._per_caller = None if per_caller is None else parse(per_caller)

    def count_address(self, address: str | None) -> None:
        """Raises Problem: 429."""
        if self._per_address is not None and address is not None:
            self._count(self._per_address, "address", _network(address), 1)

    def count_caller(self, caller: Caller) -> None:
        """A request. Raises Problem: 429."""
        if self._per_caller is not None:
            self._count(self._per_caller, "caller", caller.name, 1)

    def count_interactions(self, caller: Caller, sent: int) -> None:
        """Those of a request that counts as one already. More than the whole limit pass where nothing else did.

        Raises Problem: 429.
        """
        if self._per_caller is not None and (others := min(sent, self._per_caller.amount) - 1) > 0:
            self._count(self._per_caller, "caller", caller.name, others)

    def _count(self, limit: RateLimitItem, kind: str, whose: str, weight: int) -> None:
        # The library counts what it refuses too: a batch that is refused would use up what a smaller one may have.
        has_room = weight == 1 or self._limiter.test(limit, kind, whose, cost=weight)
        if has_room and self._limiter.hit(limit, kind, whose, cost=weight):
            return
        stats = self._limiter.get_window_stats(limit, kind, whose)
        wait_s = max(1, math.ceil(stats.reset_time - time.time()))
        detail = f"More than {limit.amount} in {limit.get_expiry()} s of this {kind}; an interaction counts as one."
        # RateLimit and RateLimit-Policy as draft-ietf-httpapi-ratelimit-headers has them.
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            detail,
            headers={
                "Retry-After": str(wait_s),
                "RateLimit-Policy": f'"{kind}";q={limit.amount};w={limit.get_expiry()}',
                "RateLimit": f'"{kind}";r={max(0, stats.remaining)};t={wait_s}',
            },
            reason=f"{kind}_rate",
        )


def _network(address: str) -> str:
    """An IPv6 customer has a /64 at least, and would have as many limits as addresses in it."""
    if ":" not in address:
        return address
    try:
        return str(ip_network((int(IPv6Address(address.partition("%")[0])), _IPV6_PREFIX), strict=False))
    except ValueError:
        return address
