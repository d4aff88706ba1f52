"""The shop's clients of tests/faults, who send to several front doors."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import httpx

from domain.shard import shard_of
from tests.faults.load import Load, Sent


class TwiceAtOnce(Load):
    """Sends everything to all front doors at the same moment, as a gateway that repeats what is slow."""

    async def _send(self, http: httpx.AsyncClient, url: str, bodies: list[dict[str, Any]]) -> None:
        send = super()._send
        await asyncio.gather(*(send(http, one, bodies) for one in self._urls))


class Routed(Load):
    """Divides every request by account, as docs/scaling.md says that whoever sends to shards has to."""

    async def _send(self, http: httpx.AsyncClient, url: str, bodies: list[dict[str, Any]]) -> None:
        send = super()._send
        await asyncio.gather(*(send(http, its_url, part) for its_url, part in self._parts(bodies).items()))

    def _parts(self, bodies: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in bodies:
            parts[self._urls[shard_of(one["account_id"], len(self._urls))]].append(one)
        return parts

    def sent_to(self, number: int) -> Sent:
        """What went to one shard."""
        of_it = {one: body for one, body in self.sent.bodies.items() if self._number(body) == number}
        return Sent(of_it, self.sent.acknowledged & of_it.keys())

    def shards_of(self, event_ids: Iterable[Any]) -> set[int]:
        return {self._number(self.sent.bodies[one]) for one in event_ids}

    def _number(self, body: dict[str, Any]) -> int:
        return shard_of(body["account_id"], len(self._urls))
