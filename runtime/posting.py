"""Sending interactions to a running Footfall over its public interface, again and again until it answers."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from domain.errors import FootfallError, InvalidInputError, TransientError

MAX_ROWS = 1_000
MAX_BODY_BYTES = 1024 * 1024 - 4096
_HEAD, _TAIL = b'{"interactions":[', b"]}"

_TIMEOUT_S = 30.0
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 15.0
_DOUBLINGS = 10

_POINTER = re.compile(r"#?/interactions/(\d+)(?:/|$)")


class UnexpectedAnswerError(FootfallError):
    """An answer that sending again would not change."""


@dataclass(slots=True)
class Outcome:
    """What became of some interactions. Sending again after a lost answer shows accepted ones as duplicates."""

    accepted: int = 0
    duplicates: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    """Reasons by index."""


class Poster:
    """Posts batches; any number at once.

    Raises:
        TransientError: for `retry_for_s` there was no answer but 429, 5xx or a lost connection.
        UnexpectedAnswerError: an answer that no Footfall gives to a well-formed request.

    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        retry_for_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._sleep, self._clock = client, sleep, clock
        self._retry_for_s = retry_for_s
        self._progress_at = clock()
        self.trouble: str | None = None
        """Why the last attempt failed; None when it did not."""

    async def submit(self, items: Sequence[bytes]) -> Outcome:
        """Interactions as JSON, each with its event id, so that sending again is safe."""
        response = await self._answer(_HEAD + b",".join(items) + _TAIL)
        if response.status_code == HTTPStatus.ACCEPTED:
            return _accepted(response)
        if response.status_code not in (400, 413, 422):
            raise UnexpectedAnswerError(f"{response.url} answered {_summary(response)}: is that a Footfall?")
        refused = _refused_each(response, len(items))
        if refused is not None:
            return Outcome(refused=refused)
        if len(items) == 1:
            return Outcome(refused={0: _detail(response)})
        # The whole was refused and no row named: the halves show which rows it is about, or fit in size.
        half = len(items) // 2
        first, second = await self.submit(items[:half]), await self.submit(items[half:])
        moved = {index + half: reason for index, reason in second.refused.items()}
        return Outcome(
            first.accepted + second.accepted, first.duplicates + second.duplicates, {**first.refused, **moved}
        )

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
            response = await self._client.post("/interaction", params={"partial": "true"}, content=body)
        except httpx.TransportError as error:
            return None, f"{type(error).__name__} {error}".strip()
        again = response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error
        return response, _summary(response) if again else None


def new_client(url: str) -> httpx.AsyncClient:
    """Raises InvalidInputError where `url` is none."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInputError(f"{url}: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInputError(f"{url!r} is not an http:// or https:// URL")
    return httpx.AsyncClient(
        base_url=parsed,
        timeout=_TIMEOUT_S,
        headers={"Content-Type": "application/json"},
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


def _accepted(response: httpx.Response) -> Outcome:
    body = _body(response)
    try:
        outcome = Outcome(int(body["accepted"]), int(body["duplicates"]))
    except (KeyError, TypeError, ValueError):
        raise UnexpectedAnswerError(f"{response.url} answered {_summary(response)}: is that a Footfall?") from None
    outcome.refused = _reasons(body)
    return outcome


def _refused_each(response: httpx.Response, count: int) -> dict[int, str] | None:
    """A reason for every row, where the answer names rows; None where it is about the whole."""
    reasons = _reasons(_body(response))
    if response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY or set(reasons) != set(range(count)):
        return None
    return reasons


def _reasons(body: dict[str, Any]) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    for one in body.get("errors") or []:
        pointer = str(one.get("pointer", ""))
        place = _POINTER.match(pointer)
        index = one.get("index", place and int(place[1]))
        if isinstance(index, int):
            where = pointer[place.end() :] if place else pointer
            found.setdefault(index, []).append(f"{where}: {one.get('reason', 'refused')}".removeprefix(": "))
    return {index: "; ".join(reasons) for index, reasons in found.items()}


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
