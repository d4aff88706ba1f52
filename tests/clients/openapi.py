"""The OpenAPI document of this tree, without a server."""

import contextlib
from typing import Any

from fastapi import FastAPI

from api.app import Bounds, create_app
from api.leaving import Leaving
from api.limits import LongestBodies


def document() -> dict[str, Any]:
    def nothing(_app: FastAPI) -> Any:
        return contextlib.nullcontext({})

    bounds = Bounds(LongestBodies(1, 1), 1, 1, 1)
    return create_app(nothing, version="0", bounds=bounds, leaving=Leaving()).openapi()
