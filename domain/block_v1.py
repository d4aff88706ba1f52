"""Blocks of version 1, which stores may still hold: a frame (domain/frame.py) around one msgpack array of columns.

All nine columns speak of the same events, in the same order:

    0  event ids      bin    16 bytes an event, one after the other
    1  times          [int]  the first in microseconds since the Unix epoch, then the difference to the one before
    2  event types    coded  see below, strings
    3  references     coded  strings: the ref_type's first letter ("P" or "C"), then the ref_id
    4  account numbers  coded, optional, integers
    5  session ids      coded, optional, strings
    6  user agents      coded, optional, strings
    7  ip addresses     coded, optional, strings
    8  metadata         coded, optional, strings: JSON objects

A coded column is [values, codes]: the distinct values in order of first appearance, and for each event the
position of its value. In an optional column code 0 means absent and code k the value at k - 1; where all are
absent the column is nil.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from domain import frame
from domain.errors import CorruptBlockError
from domain.interaction import CATEGORY, PRODUCT, Interaction

_T = TypeVar("_T", str, int)
_Coded = tuple[list[_T], list[int]]


class _Columns(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    event_ids: bytes
    times: list[int]
    event_types: _Coded[str]
    refs: _Coded[str]
    account_numbers: _Coded[int] | None
    session_ids: _Coded[str] | None
    user_agents: _Coded[str] | None
    ip_addresses: _Coded[str] | None
    metadata: _Coded[str] | None


_ID_BYTES = 16
_REF_TYPES = {"P": PRODUCT, "C": CATEGORY}

_decode = msgspec.msgpack.Decoder(_Columns).decode


def decode_block(data: bytes, account_id: str) -> list[Interaction]:
    """The interactions of a block, in the order in which they were encoded.

    Raises:
        CorruptBlockError: truncated, altered, inconsistent, or of an unknown version.

    """
    count, columns = _read(data)
    try:
        return _rows(columns, count, account_id)
    except (IndexError, KeyError, ValueError) as error:
        raise CorruptBlockError(f"block of {account_id!r}: {error}") from error


def _read(data: bytes) -> tuple[int, _Columns]:
    count, payload = frame.unpack(data)
    try:
        columns = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptBlockError(str(error)) from error
    if not count or len(columns.event_ids) != _ID_BYTES * count or len(columns.times) != count:
        raise CorruptBlockError(f"the columns do not hold {count} interactions")
    return count, columns


def _rows(columns: _Columns, count: int, account_id: str) -> list[Interaction]:
    ids = columns.event_ids
    rows = zip(
        [ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)],
        _values(columns.event_types, count),
        _values(columns.refs, count),
        _sums(columns.times),
        _optional_values(columns.account_numbers, count),
        _optional_values(columns.session_ids, count),
        _optional_values(columns.user_agents, count),
        _optional_values(columns.ip_addresses, count),
        _optional_values(columns.metadata, count),
        strict=True,
    )
    return [
        Interaction(event_id, account_id, event_type, _REF_TYPES[ref[0]], ref[1:], time, *optional)
        for event_id, event_type, ref, time, *optional in rows
    ]


def _sums(differences: list[int]) -> list[int]:
    times, now = [], 0
    for difference in differences:
        now += difference
        times.append(now)
    return times


def _values(column: _Coded[_T], count: int) -> Iterable[_T]:
    values, codes = column
    if len(codes) != count or (codes and min(codes) < 0):
        raise ValueError(f"a column does not hold {count} codes")
    return [values[code] for code in codes]


def _optional_values(column: _Coded[_T] | None, count: int) -> Iterable[_T | None]:
    if column is None:
        return [None] * count
    values, codes = column
    if len(codes) != count or (codes and min(codes) < 0):
        raise ValueError(f"a column does not hold {count} codes")
    return [values[code - 1] if code else None for code in codes]
