"""The TypeScript client's types of what goes over the wire, made of the OpenAPI document.

`python -m tests.clients.openapi_types` writes them anew, once the client is installed.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.clients import openapi
from tests.clients.npm import CLIENT

TYPES = CLIENT / "src" / "openapi.ts"

_PATHS = (
    "/interaction",
    "/interaction/{event_id}",
    "/interactions/{account_id}",
    "/popularity/top",
    "/popularity/{product_id}",
    "/recommendations/{account_id}",
)
_REFERENCE = re.compile(r'"#/components/schemas/(\w+)"')


def made_types() -> str:
    """TypeScript, of those routes that the client speaks to."""
    with tempfile.TemporaryDirectory() as folder:
        document, types = Path(folder, "openapi.json"), Path(folder, "openapi.ts")
        document.write_text(json.dumps(_document()))
        command = ["npx", "openapi-typescript", str(document), "--output", str(types)]
        # A field that has a default may be left out all the same.
        subprocess.run([*command, "--default-non-nullable", "false"], cwd=CLIENT, check=True, capture_output=True)
        return types.read_text()


def _document() -> dict[str, Any]:
    whole = openapi.document()
    paths = {path: whole["paths"][path] for path in _PATHS}
    for operation in (operation for path in paths.values() for operation in path.values()):
        operation["responses"] = {code: one for code, one in operation["responses"].items() if code.startswith("2")}
    schemas = whole["components"]["schemas"]
    used = {name: schemas[name] for name in sorted(_used(json.dumps(paths), schemas))}
    return {**{key: whole[key] for key in ("openapi", "info")}, "paths": paths, "components": {"schemas": used}}


def _used(text: str, schemas: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    open_ones = set(_REFERENCE.findall(text))
    while open_ones:
        found |= open_ones
        texts = "".join(json.dumps(schemas[name]) for name in open_ones)
        open_ones = set(_REFERENCE.findall(texts)) - found
    return found


if __name__ == "__main__":
    TYPES.write_text(made_types())
