"""Load of known content, and what became of each interaction that was sent."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

_TYPES = ("view", "view", "view", "add_to_cart", "purchase", "rating_high", "unheard_of")
_TIMEOUT_S = 12.0


@dataclass(slots=True)
class Sent:
    """What was sent, by event id, and which of it was answered with 202."""

    bodies: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    acknowledged: set[UUID] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """Why there was no answer."""
    sums: Counter[str] = field(default_factory=Counter)
    """Of the answers of 202: how many were accepted, and how many duplicates."""


class Load:
    """Clients of a shop whose names all start with `prefix`."""

    def __init__(
        self, urls: list[str], prefix: str, seed: int, *, clients: int = 6, requests_a_second: float = 60
    ) -> None:
        self._urls = urls
        self._accounts = 7 * clients
        self._clients = clients
        self._pause_s = 2 * clients / requests_a_second
        self.prefix = prefix
        self._random = random.Random(seed)
        self.sent = Sent()
        self.headers: dict[str, str] = {}
        self._enough = False
        self.hang_up_share = 0.0
        """Of the requests, how many are given up by the client before the answer."""

    async def run(self, seconds: float) -> None:
        ends = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as clients:
            for number in range(self._clients):
                clients.create_task(self._client(self._urls[number % len(self._urls)], ends))

    def stop(self) -> None:
        """Before its time: no more requests."""
        self._enough = True

    async def send_all_again(self) -> Counter[str]:
        """Everything once more, in its order, until each was answered; the sums of accepted and duplicates."""
        bodies = list(self.sent.bodies.values())
        sums: Counter[str] = Counter()
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
            for at in range(0, len(bodies), 500):
                for url, part in self._parts(bodies[at : at + 500]).items():
                    answer = await http.post(f"{url}/interaction", json={"interactions": part}, headers=self.headers)
                    answer.raise_for_status()
                    sums.update(_sums(answer))
        return sums

    def _parts(self, bodies: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        """Where what goes that is sent again."""
        return {self._urls[0]: bodies}

    async def _client(self, url: str, ends: float) -> None:
        loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
            while loop.time() < ends and not self._enough:
                bodies = [self._make() for _ in range(self._random.choice([1, 1, 1, 5, 40]))]
                await self._send(http, url, bodies)
                if self._random.random() < 0.1:
                    await self._send(http, url, bodies)  # an app that retries though it has its answer
                await asyncio.sleep(self._pause_s * self._random.random())

    async def _send(self, http: httpx.AsyncClient, url: str, bodies: list[dict[str, Any]]) -> None:
        request = http.post(f"{url}/interaction", json={"interactions": bodies}, headers=self.headers)
        try:
            if self._random.random() < self.hang_up_share:
                await asyncio.wait_for(request, self._random.random() * 0.01)
                return
            answer = await request
        except TimeoutError:
            self.sent.answers["hung up"] += 1
        except httpx.TransportError as error:
            self.sent.answers["unanswered"] += 1
            self.sent.failures[repr(error)] += 1
        else:
            self.sent.answers[str(answer.status_code)] += 1
            if answer.status_code == httpx.codes.ACCEPTED:
                self.sent.acknowledged |= {UUID(one["event_id"]) for one in bodies}
                self.sent.sums.update(_sums(answer))

    def _make(self) -> dict[str, Any]:
        picker = self._random
        body: dict[str, Any] = {
            "event_id": str(UUID(int=picker.getrandbits(128), version=4)),
            "account_id": f"{self.prefix}a{picker.randrange(self._accounts)}",
            "event_type": picker.choice(_TYPES),
            "ref_type": picker.choice(["Product", "Product", "Category"]),
            "ref_id": f"{self.prefix}p{picker.randrange(60)}",
        }
        if picker.random() < 0.9:  # others have the time of their arrival
            weeks = picker.choice([0, 0, 0, 0, 3, 12])
            ago = timedelta(weeks=weeks, seconds=picker.uniform(1, 10 * 86_400))  # the ledger's window, and beyond
            body["occurred_at"] = (datetime.now(UTC) - ago).isoformat()
        self.sent.bodies[UUID(body["event_id"])] = body
        return body


def _sums(answer: httpx.Response) -> dict[str, int]:
    told: dict[str, int] = answer.json()
    return {key: told[key] for key in ("accepted", "duplicates")}
