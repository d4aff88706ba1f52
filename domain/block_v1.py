"""The block format: one account's interactions of one week, as columns inside a frame.

The payload is one msgpack array of nine columns. All columns speak of the same events, in the same order:

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
absent the column is nil. The account is the block's key and is not repeated inside.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
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

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Columns).decode


def encode_block(interactions: Sequence[Interaction], *, level: int = 3) -> bytes:
    """Interactions of one account, in the order given, as one block.

    Raises:
        ValueError: there are none, or they are of more than one account.

    """
    if not interactions:
        raise ValueError("a block holds at least one interaction")
    account_id = interactions[0].account_id
    if any(one.account_id != account_id for one in interactions):
        raise ValueError("a block holds the interactions of one account only")
    columns = _Columns(
        b"".join([one.event_id for one in interactions]),
        _differences([one.occurred_at for one in interactions]),
        _code([one.event_type for one in interactions]),
        _code([one.ref_type[0] + one.ref_id for one in interactions]),
        _code_optional([one.account_number for one in interactions]),
        _code_optional([one.session_id for one in interactions]),
        _code_optional([one.user_agent for one in interactions]),
        _code_optional([one.ip_address for one in interactions]),
        _code_optional([one.metadata for one in interactions]),
    )
    return frame.pack(len(interactions), _encode(columns), level=level)


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


def time_span(data: bytes) -> tuple[int, int]:
    """The earliest and the latest occurred_at in a block, microseconds since the Unix epoch.

    Raises:
        CorruptBlockError: see `decode_block`.

    """
    _, columns = _read(data)
    times = _sums(columns.times)
    return min(times), max(times)


def _read(data: bytes) -> tuple[int, _Columns]:
    count, payload = frame.unpack(data)
    try:
        columns = _decode(payload)
    except msgspec.DecodeError as error:
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


def _differences(times: list[int]) -> list[int]:
    return [times[0], *(later - earlier for earlier, later in pairwise(times))]


def _sums(differences: list[int]) -> list[int]:
    times, now = [], 0
    for difference in differences:
        now += difference
        times.append(now)
    return times


def _code(values: list[_T]) -> _Coded[_T]:
    if len(values) == 1:
        return values, [0]
    places: dict[_T, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return list(places), codes


def _code_optional(values: Sequence[_T | None]) -> _Coded[_T] | None:
    present = [value for value in values if value is not None]
    if not present:
        return None
    distinct = list(dict.fromkeys(present))
    places = {value: place for place, value in enumerate(distinct, start=1)}
    return distinct, [0 if value is None else places[value] for value in values]


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
