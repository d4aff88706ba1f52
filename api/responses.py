"""How answers are written, and how the OpenAPI document describes them."""

from typing import Any

import msgspec
from fastapi import Response

from api.problems import MEDIA_TYPE, ProblemBody

_encode = msgspec.json.Encoder().encode


def json_response(body: Any) -> Response:
    return Response(_encode(body), media_type="application/json")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's error answers, for its `responses`."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        described[status] = {"model": ProblemBody, "content": {MEDIA_TYPE: {}}}
    return described
