"""How answers are written, and how the OpenAPI document describes them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Response

from api.problems import MEDIA_TYPE, ProblemBody

to_json = msgspec.json.Encoder().encode


def json_response(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return json_body(to_json(body), headers)


def json_body(encoded: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encoded, media_type="application/json", headers=headers)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's error answers, for its `responses`."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        described[status] = {"model": ProblemBody, "content": {MEDIA_TYPE: {}}}
    return described
