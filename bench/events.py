"""Traffic: views, Zipf(1.3) over 10,000 products, uniform over 10,000 accounts."""

import bisect
import itertools
import random
from collections.abc import Iterator

from bench.http1 import post
from bench.loadgen import NextRequest

PRODUCTS = 10_000
ACCOUNTS = 10_000
_EXPONENT = 1.3
_SINGLES_BUILT = 4_000
_GROUPS_BUILT = 2_000


def view(account: str, product: str, occurred_at: str | None = None) -> str:
    """One event as JSON; the names need no escaping."""
    time = "" if occurred_at is None else f',"occurred_at":"{occurred_at}"'
    return f'{{"account_id":"{account}","event_type":"view","ref_type":"Product","ref_id":"{product}"{time}}}'


def group(events: list[str]) -> bytes:
    """The body of one request with several events."""
    return f'{{"interactions":[{",".join(events)}]}}'.encode()


def product_name(rank: int) -> str:
    return f"p{rank}"


def views(seed: int) -> Iterator[str]:
    """Endless events; the same for the same seed."""
    picker = random.Random(seed)
    sums = list(itertools.accumulate(1 / rank**_EXPONENT for rank in range(1, PRODUCTS + 1)))
    while True:
        rank = bisect.bisect_left(sums, picker.random() * sums[-1])
        yield view(f"a{picker.randrange(ACCOUNTS)}", product_name(rank))


def requests(host: str, events_a_request: int, seed: int = 1) -> NextRequest:
    """Requests of so many events each, built before the clock starts, in a ring."""
    source = views(seed)
    if events_a_request == 1:
        bodies = [next(source).encode() for _ in range(_SINGLES_BUILT)]
    else:
        bodies = [group(list(itertools.islice(source, events_a_request))) for _ in range(_GROUPS_BUILT)]
    return itertools.cycle([post(host, "/interaction", body) for body in bodies]).__next__
