"""From a file to rows: gzip, byte order mark, line numbers, headers."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from domain.errors import InvalidInputError
from runtime.importing.line_formats import LineFormat, format_named, guess_format
from runtime.importing.rows import BadRow, BadRowError, Row

MAX_LINE_BYTES = 1024 * 1024
"""The server takes no larger body, so a longer line could not be sent anyway."""

_BOM = b"\xef\xbb\xbf"
_LINES_TO_GUESS_FROM = 20

BytesRead = Callable[[int], None]
"""Told now and then how far into the file reading is, in bytes of the file on disk."""


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def choose_format(path: Path, named: str | None) -> LineFormat:
    """The format of this name, or any, that the first lines fit best.

    Raises:
        InvalidInputError: there is none of this name; or none is named, and they fit no format.

    """
    lines = islice((raw for _, raw in _lines(path) if raw is not None), _LINES_TO_GUESS_FROM)
    texts = [raw.decode("utf-8", "replace") for raw in lines]
    return guess_format(texts, path.name) if named is None else format_named(named, texts)


def read_rows(path: Path, file_format: LineFormat, at: BytesRead | None = None) -> Iterator[Row | BadRow]:
    """Every row of the file, good or bad, in order. Blank lines and a header are not rows."""
    first = True
    for number, raw in _lines(path, at):
        if raw is None:
            yield BadRow(number, f"longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            text = _text(raw, file_format)
        except UnicodeDecodeError as error:
            yield BadRow(number, f"not UTF-8: {error.reason} at byte {error.start + 1}")
            continue
        if first and file_format.is_header(text):
            first = False
            continue
        first = False
        try:
            parsed = file_format.parse(text)
        except BadRowError as error:
            yield BadRow(number, str(error))
        else:
            yield Row(number, raw, parsed.fields, parsed.occurred_at_us, parsed.event_id)


def _text(line: bytes, file_format: LineFormat) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        if file_format.may_be_latin_1:
            return line.decode("latin-1")
        raise


def _lines(path: Path, at: BytesRead | None = None) -> Iterator[tuple[int, bytes | None]]:
    """Line numbers with lines that hold text; None for a line that is too long."""
    try:
        with path.open("rb") as on_disk:
            file = cast("BinaryIO", gzip.GzipFile(fileobj=on_disk)) if path.suffix == ".gz" else on_disk
            for number, raw in _bounded_lines(file):
                if at is not None and number % 4096 == 0:
                    at(on_disk.tell())
                line = raw.removeprefix(_BOM) if number == 1 and raw is not None else raw
                line = None if line is None else line.rstrip(b"\r\n")
                if line is None or line.strip():
                    yield number, line
    except (EOFError, zlib.error, OSError) as error:
        raise InvalidInputError(f"{path} can't be read: {error}") from error


def _bounded_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        whole = len(line) <= MAX_LINE_BYTES
        if whole:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield number, None
