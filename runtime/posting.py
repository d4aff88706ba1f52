"""Sending to a running Footfall over its public interface, again and again until it answers."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import msgspec
from pydantic import SecretStr

from domain.errors import FootfallError, InvalidInputError, TransientError

MAX_ROWS = 1_000
MAX_BODY_BYTES = 1024 * 1024 - 4096

_TIMEOUT_S = 30.0
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 15.0
_DOUBLINGS = 10


class Route(NamedTuple):
    """Where objects go, many at once. Sending the same ones again must be safe."""

    method: str
    path: str
    name: str
    """Of the list that holds them."""
    query: Mapping[str, str] = MappingProxyType({})


INTERACTIONS = Route("POST", "/interaction", "interactions", {"partial": "true"})
ITEMS = Route("PUT", "/items", "items")
USERS = Route("PUT", "/users", "users")


class UnexpectedAnswerError(FootfallError):
    """An answer that sending again would not change."""


@dataclass(slots=True)
class Outcome:
    """What became of what was sent. Interactions whose answer was lost are duplicates when they are sent again."""

    accepted: int = 0
    duplicates: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    """Reasons by index."""

    def joined(self, other: "Outcome", places: Sequence[int]) -> "Outcome":
        """With another's, whose indices are those of `places`."""
        moved = {places[index]: reason for index, reason in other.refused.items()}
        return Outcome(self.accepted + other.accepted, self.duplicates + other.duplicates, {**self.refused, **moved})


class Poster:
    """Sends batches to one route; any number at once.

    Raises:
        TransientError: for `retry_for_s` there was no answer but 429, 5xx or a lost connection.
        UnexpectedAnswerError: an answer that no Footfall gives to a well-formed request.

    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        route: Route = INTERACTIONS,
        *,
        retry_for_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._sleep, self._clock = client, sleep, clock
        self._route = route
        self._head = f'{{"{route.name}":['.encode()
        self._pointer = re.compile(rf"#?/{route.name}/(\d+)(?:/|$)")
        self._retry_for_s = retry_for_s
        self._progress_at = clock()
        self.trouble: str | None = None
        """Why the last attempt failed; None when it did not."""

    async def submit(self, bodies: Sequence[bytes]) -> Outcome:
        """Objects as JSON; interactions each with its event id, so that sending again is safe."""
        response = await self._answer(self._head + b",".join(bodies) + b"]}")
        if response.is_success:
            return self._accepted(response)
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise UnexpectedAnswerError(f"{response.url} answered {_summary(response)} See FOOTFALL_API_KEY.")
        if response.status_code not in (400, 413, 422):
            raise UnexpectedAnswerError(f"{response.url} answered {_summary(response)}: is that a Footfall?")
        if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
            reasons = self._reasons(_body(response))
            refused = {index: reasons[index] for index in range(len(bodies)) if index in reasons}
            if refused:
                return await self._submit_others(bodies, refused)
        if len(bodies) == 1:
            return Outcome(refused={0: _detail(response)})
        # The whole was refused and none named: the halves show which ones it is about, or fit in size.
        half = len(bodies) // 2
        first, second = await self.submit(bodies[:half]), await self.submit(bodies[half:])
        return first.joined(second, range(half, len(bodies)))

    async def _submit_others(self, bodies: Sequence[bytes], refused: dict[int, str]) -> Outcome:
        """What the named ones have kept out."""
        others = [index for index in range(len(bodies)) if index not in refused]
        known = Outcome(refused=refused)
        return known.joined(await self.submit([bodies[index] for index in others]), others) if others else known

    async def _answer(self, body: bytes) -> httpx.Response:
        attempt = 0
        while True:
            response, self.trouble = await self._try(body)
            if response is not None and self.trouble is None:
                self._progress_at = self._clock()
                return response
            left_s = self._progress_at + self._retry_for_s - self._clock()
            if left_s <= 0:
                raise TransientError(f"no progress for {self._retry_for_s:g} s; the last attempt: {self.trouble}")
            asked_s = None if response is None else _retry_after_s(response)
            await self._sleep(min(asked_s or _backoff_s(attempt), left_s))
            attempt += 1

    async def _try(self, body: bytes) -> tuple[httpx.Response | None, str | None]:
        try:
            response = await self._client.request(
                self._route.method, self._route.path, params=self._route.query, content=body
            )
        except httpx.TransportError as error:
            return None, f"{type(error).__name__} {error}".strip()
        again = response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error
        return response, _summary(response) if again else None

    def _accepted(self, response: httpx.Response) -> Outcome:
        body = _body(response)
        try:
            if "stored" in body:
                return Outcome(int(body["stored"]))
            return Outcome(int(body["accepted"]), int(body["duplicates"]), self._reasons(body))
        except (KeyError, TypeError, ValueError):
            raise UnexpectedAnswerError(
                f"{response.url} answered {_summary(response)}: is that a Footfall?"
            ) from None

    def _reasons(self, body: dict[str, Any]) -> dict[int, str]:
        """Of those that an answer names."""
        found: dict[int, list[str]] = {}
        for one in body.get("errors") or []:
            pointer = str(one.get("pointer", ""))
            place = self._pointer.match(pointer)
            index = one.get("index", place and int(place[1]))
            if isinstance(index, int):
                where = pointer[place.end() :] if place else pointer
                found.setdefault(index, []).append(f"{where}: {one.get('reason', 'refused')}".removeprefix(": "))
        return {index: "; ".join(reasons) for index, reasons in found.items()}


def new_client(url: str, key: SecretStr | None = None) -> httpx.AsyncClient:
    """A client that sends this API key. Raises InvalidInputError where `url` is none."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInputError(f"{url}: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInputError(f"{url!r} is not an http:// or https:// URL")
    return httpx.AsyncClient(
        base_url=parsed,
        timeout=_TIMEOUT_S,
        headers={
            "Content-Type": "application/json",
            **({} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}),
        },
        # A proxy from the environment would rarely reach this very machine.
        trust_env=parsed.host not in ("localhost", "127.0.0.1", "::1"),
    )


def _backoff_s(attempt: int) -> float:
    longest: float = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(attempt, _DOUBLINGS))
    return longest * random.uniform(0.5, 1)


def _retry_after_s(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    seconds: float = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds)


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _detail(response: httpx.Response) -> str:
    return str(_body(response).get("detail") or _summary(response))


def _summary(response: httpx.Response) -> str:
    said = _body(response).get("detail")
    return f"{response.status_code} {response.reason_phrase}" + (f", {said}" if said else "")
