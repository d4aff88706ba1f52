"""Reading the columns of a line."""

import csv

from runtime.importing.rows import BadRowError


def cells(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise BadRowError(f"not CSV: {error}") from None


def present(value: str, name: str) -> str:
    if not value:
        raise BadRowError(f"{name} is empty")
    return value
