"""The soak's load, in a process of its own: PORT RATE SECONDS INTERVAL_S; prints JSON an interval, and at last.

An open loop of single interactions, mostly views. One in a hundred has an id of its own and is sent again, with the
same bytes, some time later.
"""

import json
import random
import sys
import time
from collections import Counter
from uuid import UUID

from bench.events import Event, bundles
from bench.loadgen import Intervals, Result, load, post
from bench.peers.system import HOST

MIX = {"view": 0.90, "add_to_cart": 0.05, "add_to_favorites": 0.02, "purchase": 0.02, "rating_high": 0.01}
SENT_AGAIN = 0.01
_CONNECTIONS = 64
_WAITING = 100
"""So many are to be sent again at a time: each waits for about a hundred times as many others."""
_BUNDLES = 10


class Traffic:
    """Makes requests, and knows what of them has to be counted once they are accepted."""

    def __init__(self, seed: int = 11) -> None:
        self._random = random.Random(seed)
        self._ring = [self._built(event) for bundle in range(_BUNDLES) for (event,) in bundles(1, seed + bundle)]
        self._waiting: list[bytes] = []
        self.first: Counter[str] = Counter()
        """By event type, each interaction once."""
        self.again = 0

    def next_request(self) -> bytes:
        if len(self._waiting) >= _WAITING:
            self.again += 1
            return self._waiting.pop(self._random.randrange(_WAITING))
        event_type, request, event = self._random.choice(self._ring)
        self.first[event_type] += 1
        if self._random.random() >= SENT_AGAIN:
            return request
        event_id = str(UUID(bytes=self._random.randbytes(16), version=4))
        self._waiting.append(_request({**event, "event_id": event_id}))
        return self._waiting[-1]

    def _built(self, event: Event) -> tuple[str, bytes, Event]:
        event_type = self._random.choices(list(MIX), list(MIX.values()))[0]
        event = {**event, "event_type": event_type, "session_id": f"s-{self._random.getrandbits(40):010x}"}
        return event_type, _request(event), event


def _request(event: Event) -> bytes:
    return post(HOST, "/interaction", json.dumps(event).encode())


def main(port: int, rate: float, seconds: float, interval_s: float) -> None:
    traffic, statuses, cut = Traffic(), Counter[int](), 0

    def seen(interval: Result) -> None:
        nonlocal cut
        statuses.update(interval.statuses)
        cut += interval.cut
        figures = {f"p{percent}": interval.percentile_ms(percent) for percent in (50, 99, 100)}
        line = {"at": time.time(), "answers_per_s": interval.answers / interval.seconds, **figures}
        print(json.dumps(line), flush=True)

    rest = load(
        HOST,
        port,
        traffic.next_request,
        connections=_CONNECTIONS,
        seconds=seconds,
        rate=rate,
        intervals=Intervals(interval_s, seen),
    )
    statuses.update(rest.statuses)
    done = {"statuses": statuses, "cut": cut + rest.cut, "first": traffic.first, "again": traffic.again}
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:5]))
