"""Named queries: SQL and CQL stand as text in a file beside the store that owns them.

A query starts at a line `-- name: its_name`; what follows up to the next such line is its text, without the lines
that are comments.
"""

import re
from importlib import resources
from typing import LiteralString

_NAME = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)


def load_queries(package: str, file_name: str) -> dict[str, LiteralString]:
    """Query name → text. Typed as literal, so that no store can add to a query at run time unseen."""
    text = (resources.files(package) / file_name).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    names, bodies = parts[0::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{package}/{file_name}: a query name is used twice")
    statements = map(_statement, bodies)
    return dict(zip(names, statements, strict=True))


def _statement(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
