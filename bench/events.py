"""Traffic: views, Zipf(1.3) over 10,000 products, uniform over 10,000 accounts."""

import bisect
import itertools
import json
import random
from collections.abc import Callable

from bench.loadgen import post

PRODUCTS = 10_000
ACCOUNTS = 10_000
_EXPONENT = 1.3
_REQUESTS_BUILT = 4_000


def requests(host: str, events_a_request: int, seed: int = 1) -> Callable[[], bytes]:
    """Requests of so many events each, built before the clock starts, in a ring."""
    picker = random.Random(seed)
    weights = list(itertools.accumulate(1 / rank**_EXPONENT for rank in range(1, PRODUCTS + 1)))
    built = max(64, _REQUESTS_BUILT // events_a_request)

    def event() -> dict[str, str]:
        product = bisect.bisect_left(weights, picker.random() * weights[-1])
        account = picker.randrange(ACCOUNTS)
        return {"account_id": f"a{account}", "event_type": "view", "ref_type": "Product", "ref_id": f"p{product}"}

    bodies = [
        event() if events_a_request == 1 else {"interactions": [event() for _ in range(events_a_request)]}
        for _ in range(built)
    ]
    ring = itertools.cycle([post(host, "/interaction", json.dumps(body).encode()) for body in bodies])
    return ring.__next__
