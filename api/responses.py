"""How answers are written, and how the OpenAPI document describes them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Response

from api.problems import MEDIA_TYPE, ProblemBody

_ANYWHERE = (401, 403, 429, 503)
"""Who asks is not known or may not, asks too much, or its key can't be read yet."""

to_json = msgspec.json.Encoder().encode


def json_response(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return json_body(to_json(body), headers)


def json_body(encoded: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encoded, media_type="application/json", headers=headers)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's error answers, for its `responses`: these, and those that any may give."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, *_ANYWHERE}):
        described[status] = {"model": ProblemBody, "content": {MEDIA_TYPE: {}}}
    return described
