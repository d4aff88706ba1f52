"""Opaque cursors: where a page ended, as URL-safe text. Not secret, only not to be relied on."""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from api.problems import invalid

_T = TypeVar("_T")


def write_cursor(place: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()


def read_cursor(cursor: str, kind: type[_T]) -> _T:
    """The place that a cursor of this kind holds.

    Raises:
        Problem: 422, it is not one that this route gave.

    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise invalid("cursor", "not a cursor that this route gave", place="query") from error
