"""The columns of a block: interactions turned on their side, as docs in domain/block.py describe them."""

import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, repeat
from operator import sub
from typing import Any, TypeVar

import msgspec

from domain.interaction import CATEGORY, PRODUCT, Interaction

_T = TypeVar("_T", str, int)
_Strings = str | tuple[list[str], bytes]
_Integers = int | tuple[list[int], bytes]


class Columns(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """As they are stored; nothing is checked beyond the types."""

    first_time: int
    event_types: _Strings
    refs: _Strings
    steps: tuple[int, bytes] | None = None
    account_numbers: _Integers | None = None
    session_ids: _Strings | None = None
    user_agents: _Strings | None = None
    ip_addresses: _Strings | None = None
    metadata: _Strings | None = None


_ID_BYTES = 16
_STEP_BYTES = 8
_UNITS_US = (1_000_000, 1_000, 1)
_KINDS = {1: "B", 2: "H", 4: "I"}  # by width in bytes, as the array module names them
_REF_TYPES = {"P": PRODUCT, "C": CATEGORY}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Columns).decode


def encode_columns(interactions: Sequence[Interaction]) -> bytes:
    """Interactions in the order of their times, without their event ids and account."""
    columns = _of_one(interactions[0]) if len(interactions) == 1 else _of_many(interactions)
    while columns[-1] is None:
        columns.pop()
    return _encode(columns)


def decode_columns(payload: bytes) -> Columns:
    """The inverse.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: these are not columns.

    """
    return _decode(payload)


def interactions_of(columns: Columns, ids: bytes, account_id: str) -> list[Interaction]:
    """The interactions of columns, with their event ids, 16 bytes each.

    Raises:
        ValueError, KeyError, IndexError, OverflowError: the columns do not fit each other.

    """
    count = len(ids) // _ID_BYTES
    refs = _values(columns.refs)
    return list(
        map(  # ends with the event ids and times: a column that repeats one value has no end
            Interaction,
            [ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)],
            repeat(account_id),
            _pick(_values(columns.event_types), columns.event_types, count),
            _pick([_REF_TYPES[ref[0]] for ref in refs], columns.refs, count),
            _pick([ref[1:] for ref in refs], columns.refs, count),
            times_of(columns, count),
            _optional(columns.account_numbers, count),
            _optional(columns.session_ids, count),
            _optional(columns.user_agents, count),
            _optional(columns.ip_addresses, count),
            _optional(columns.metadata, count),
        )
    )


def times_of(columns: Columns, count: int) -> list[int]:
    """Microseconds since the Unix epoch, ascending.

    Raises:
        ValueError, OverflowError: the steps do not fit so many interactions.

    """
    if columns.steps is None:
        if count != 1:
            raise ValueError("steps are missing")
        return [columns.first_time]
    unit, planes = columns.steps
    steps_count = count - 1
    width = -(-len(planes) // steps_count) if steps_count else 0
    if unit not in _UNITS_US or not steps_count or width > _STEP_BYTES or width * steps_count != len(planes):
        raise ValueError(f"steps do not fit {count} interactions")
    flat = bytearray(_STEP_BYTES * steps_count)
    for plane in range(width):
        flat[plane::_STEP_BYTES] = planes[plane * steps_count : (plane + 1) * steps_count]
    steps: Iterable[int] = _integers("Q", flat)
    if unit > 1:
        steps = [step * unit for step in steps]
    return list(accumulate(steps, initial=columns.first_time))


def _of_one(one: Interaction) -> list[Any]:
    return [
        one.occurred_at,
        one.event_type,
        one.ref_type[0] + one.ref_id,
        None,
        one.account_number,
        one.session_id,
        one.user_agent,
        one.ip_address,
        one.metadata,
    ]


def _of_many(interactions: Sequence[Interaction]) -> list[Any]:
    times = [one.occurred_at for one in interactions]
    return [
        times[0],
        _code([one.event_type for one in interactions]),
        _code([one.ref_type[0] + one.ref_id for one in interactions]),
        _steps(times),
        _code_optional([one.account_number for one in interactions]),
        _code_optional([one.session_id for one in interactions]),
        _code_optional([one.user_agent for one in interactions]),
        _code_optional([one.ip_address for one in interactions]),
        _code_optional([one.metadata for one in interactions]),
    ]


def _steps(times: list[int]) -> tuple[int, bytes]:
    steps = list(map(sub, times[1:], times))
    unit = next(unit for unit in _UNITS_US if not any(step % unit for step in steps))
    if unit > 1:
        steps = [step // unit for step in steps]
    flat = _little_endian("Q", steps)
    planes = (max(steps).bit_length() + 7) // 8
    return unit, b"".join([flat[plane::_STEP_BYTES] for plane in range(planes)])


def _code(values: list[_T]) -> _T | tuple[list[_T], bytes]:
    places: dict[_T, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return values[0] if len(places) == 1 else (list(places), _codes(codes, len(places)))


def _code_optional(values: Sequence[_T | None]) -> _T | tuple[list[_T], bytes] | None:
    if not any(value is not None for value in values):
        return None
    places: dict[_T | None, int] = {None: 0}
    codes = [places.setdefault(value, len(places)) for value in values]
    distinct = [value for value in places if value is not None]
    if len(distinct) == 1 and 0 not in codes:
        return distinct[0]
    return distinct, _codes(codes, len(places))


def _codes(codes: list[int], different: int) -> bytes:
    width = next(width for width in _KINDS if different <= 1 << 8 * width)
    return _little_endian(_KINDS[width], codes)


def _values(column: "_T | tuple[list[_T], bytes]") -> list[_T]:
    return column[0] if isinstance(column, tuple) else [column]


def _pick(values: Sequence[Any], column: object, count: int) -> Iterable[Any]:
    """The value of each interaction, without an end where it is one for all."""
    if not isinstance(column, tuple):
        return repeat(values[0])
    codes: bytes = column[1]
    width, left = divmod(len(codes), count)
    if left or width not in _KINDS:
        raise ValueError(f"{len(codes)} bytes of codes do not fit {count} interactions")
    return map(values.__getitem__, codes if width == 1 else _integers(_KINDS[width], codes))


def _optional(column: Any, count: int) -> Iterable[Any]:
    values: list[Any] = [None, *column[0]] if isinstance(column, tuple) else [column]
    return _pick(values, column, count)


def _little_endian(kind: str, numbers: Iterable[int]) -> bytes:
    packed = array(kind, numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _integers(kind: str, data: "bytes | bytearray") -> "array[int]":
    numbers = array(kind)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
