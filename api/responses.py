"""How answers are written, and how the OpenAPI document describes them."""

from typing import Any

import msgspec
from fastapi import Response

from api.problems import MEDIA_TYPE, ProblemBody

to_json = msgspec.json.Encoder().encode


def json_response(body: Any) -> Response:
    return json_body(to_json(body))


def json_body(encoded: bytes) -> Response:
    return Response(encoded, media_type="application/json")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's error answers, for its `responses`."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        described[status] = {"model": ProblemBody, "content": {MEDIA_TYPE: {}}}
    return described
