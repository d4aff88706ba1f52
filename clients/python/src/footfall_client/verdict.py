"""What an answer to POST /interaction says of the interactions that were sent. Pure: no clock, no network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import responses
from typing import Any

_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
# Of a request that is about several interactions: which of them it is shows by sending fewer.
_OF_SOME = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_LONGEST_ASKED_S = 300.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Found whatever the case of their names, as httpx has them."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """Committed, but for the ones named, by their places."""

    accepted: int
    duplicates: int
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Refused:
    """None was recorded, and the ones named never will be. The others are to be sent by themselves."""

    status: int
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Split:
    """None was recorded; which ones are at fault, or whether they are too many, shows when fewer are sent."""

    too_large: bool


@dataclass(frozen=True, slots=True)
class Again:
    """Not recorded, or it is not known. To be sent again, the same."""

    reason: str
    asked_s: float | None = None
    """How long the server asks to wait."""


Verdict = Settled | Refused | Split | Again


def judge(answer: Answer, sent: int, now: datetime) -> Verdict:
    """`sent` is the number of interactions in the request."""
    said = _problem(answer.content)
    if answer.status == HTTPStatus.ACCEPTED:
        return _settled(said, sent)
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return Again(f"{answer.status} is not an answer of Footfall's; is that its address?")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _AGAIN:
        return Again(_summary(answer, said), _retry_after_s(answer.headers.get("retry-after"), now))
    named = {index: reason for index, reason in _reasons(said).items() if index < sent}
    if named:
        return Refused(answer.status, named)
    if sent > 1 and answer.status in _OF_SOME:
        return Split(too_large=answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return Refused(answer.status, dict.fromkeys(range(sent), _summary(answer, said)))


def _settled(said: Mapping[str, Any], sent: int) -> Verdict:
    refused = _reasons(said)
    accepted, duplicates = said.get("accepted"), said.get("duplicates")
    if not isinstance(accepted, int) or not isinstance(duplicates, int):
        return Again("202 without Footfall's figures; is that its address?")
    if accepted + duplicates + len(refused) != sent:
        return Again(f"202 speaks of {accepted + duplicates + len(refused)} interactions, and {sent} were sent")
    return Settled(accepted, duplicates, refused)


def _reasons(said: Mapping[str, Any]) -> dict[int, str]:
    """By the places of those that an answer names."""
    found: dict[int, list[str]] = {}
    for one in said.get("errors") or ():
        index = one.get("index")
        if isinstance(index, int):
            where = str(one.get("pointer", "")).removeprefix(f"#/interactions/{index}/")
            found.setdefault(index, []).append(f"{where}: {one.get('reason', 'refused')}")
    return {index: "; ".join(reasons) for index, reasons in found.items()}


def _summary(answer: Answer, said: Mapping[str, Any]) -> str:
    phrase = responses.get(answer.status, "")
    more = said.get("detail") or answer.headers.get("location")
    return f"{answer.status} {phrase}".strip() + (f": {more}" if more else "")


def _problem(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds or a date, as RFC 9110, section 10.2.3, has it. More than some minutes would be a mistake."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_ASKED_S)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    asked_s = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(0.0, asked_s), _LONGEST_ASKED_S)
