"""The Python client's types of answers, made of the server's OpenAPI document.

`python -m tests.clients.answers` writes them anew.
"""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.clients import openapi

FILE = Path(__file__).parents[2] / "clients/python/src/footfall_client/answers.py"

_HEAD = '''"""What the server answers, as JSON. Made of its OpenAPI document by tests/clients/answers.py."""

from typing import Any, Literal, NotRequired, TypedDict
'''
_WIDTH = 110
_NAMES = {
    "InteractionOut": "RecordedInteraction",
    "HistoryOut": "History",
    "PopularityOut": "Popularity",
    "TopOut": "Top",
    "ReasonOut": "Reason",
    "RecommendedOut": "Recommended",
    "RecommendationsOut": "Recommendations",
    "FanOutOut": "FanOut",
    "EventReceiptOut": "Receipt",
}
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def source(document: dict[str, Any]) -> str:
    """A module with a TypedDict for each schema; times and ids are text, as JSON has them."""
    schemas = document["components"]["schemas"]
    found = "\n\n".join(_class(name, schemas[schema]) for schema, name in _NAMES.items())
    return _formatted(f"{_HEAD}\n\n{found}")


def _class(name: str, schema: dict[str, Any]) -> str:
    lines = [f"class {name}(TypedDict):"]
    for field, of_it in schema["properties"].items():
        kind = _kind(of_it)
        lines.append(f"    {field}: {kind if field in schema['required'] else f'NotRequired[{kind}]'}")
        if "description" in of_it:
            lines.append(_described(of_it["description"]))
    return "\n".join(lines) + "\n"


def _described(text: str) -> str:
    wrapped = textwrap.wrap(f'"""{text}"""', _WIDTH)
    return textwrap.indent("\n".join(wrapped), "    ")


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _NAMES[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return " | ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    match schema.get("type"):
        case "array":
            return f"list[{_kind(schema['items'])}]"
        case "object":
            more = schema.get("additionalProperties")
            return f"dict[str, {_kind(more) if isinstance(more, dict) else 'Any'}]"
        case str() as plain:
            return _PLAIN[plain]
    raise ValueError(f"no type for {schema}")


def _formatted(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        cwd=FILE.parents[4],
    )
    return done.stdout


if __name__ == "__main__":
    FILE.write_text(source(openapi.document()))
