"""Traffic: views, Zipf(1.3) over 10,000 products, uniform over 10,000 accounts."""

import bisect
import itertools
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import uuid4

from bench.loadgen import post

PRODUCTS = 10_000
ACCOUNTS = 10_000
_EXPONENT = 1.3
_REQUESTS_BUILT = 4_000
_PLACE_OF_ID = "00000000-0000-4000-8000-000000000000"

Event: TypeAlias = dict[str, str]


def bundles(events_a_request: int, seed: int = 1) -> list[list[Event]]:
    """Some requests' events, so many each."""
    picker = random.Random(seed)
    weights = list(itertools.accumulate(1 / rank**_EXPONENT for rank in range(1, PRODUCTS + 1)))

    def event() -> Event:
        product = bisect.bisect_left(weights, picker.random() * weights[-1])
        account = picker.randrange(ACCOUNTS)
        return {"account_id": f"a{account}", "event_type": "view", "ref_type": "Product", "ref_id": f"p{product}"}

    built = max(64, _REQUESTS_BUILT // events_a_request)
    return [[event() for _ in range(events_a_request)] for _ in range(built)]


def footfall_body(events: list[Event]) -> object:
    """As Footfall's front door takes them."""
    return events[0] if len(events) == 1 else {"interactions": events}


def requests(host: str, events_a_request: int, seed: int = 1) -> Callable[[], bytes]:
    """Requests to Footfall of so many events each, built before the clock starts, in a ring."""
    bodies = map(footfall_body, bundles(events_a_request, seed))
    ring = itertools.cycle([post(host, "/interaction", json.dumps(body).encode()) for body in bodies])
    return ring.__next__


def safe_requests(host: str, events_a_request: int, seed: int = 1) -> Callable[[], bytes]:
    """The same as an app sends them that may send them again: each event with a time, a session and an id of its own.

    Ids are random ones, made when they are sent; all else is built before.
    """
    now = datetime.now(UTC).isoformat()
    picker = random.Random(seed)

    def fields(event: Event) -> Event:
        session = f"s-{picker.getrandbits(40):010x}"
        return {"event_id": _PLACE_OF_ID, **event, "occurred_at": now, "session_id": session}

    bodies = (footfall_body([fields(one) for one in some]) for some in bundles(events_a_request, seed))
    built = (post(host, "/interaction", json.dumps(body).encode()) for body in bodies)
    ring = itertools.cycle([request.split(_PLACE_OF_ID.encode()) for request in built])

    def next_request() -> bytes:
        first, *rest = next(ring)
        return first + b"".join([str(uuid4()).encode() + part for part in rest])

    return next_request
