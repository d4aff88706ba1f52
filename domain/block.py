"""The block format: one account's interactions of one week, oldest first, as columns. docs/block-store.md has it too.

    offset  size    field
    0       1       version, 2
    1       1       codec of the columns: 0 as they are, 1 zstd, 2 zstd with dictionary 1 (domain/dictionaries)
    2       4       CRC-32 (as zlib has it) of bytes 0 and 1 and of all from byte 6 on, little endian
    6       1 to 5  number of interactions n, LEB128, at least 1
    …       1 to 5  length of the columns before compression in bytes, LEB128
    …       16 n    event ids, one after the other
    …       …       the columns

zstd frames stand without their magic number (28 B5 2F FD), content size, checksum and dictionary id, so their first
byte is 0. The columns are one msgpack array; nils at its end are left out:

    0  first time       integer, microseconds since the Unix epoch
    1  event types      column of strings
    2  references       column of strings: the ref_type's first letter ("P" or "C"), then the ref_id
    3  steps            nil where n is 1, else [unit, planes]: see below
    4  account numbers  column of integers, optional
    5  session ids      column of strings, optional
    6  user agents      column of strings, optional
    7  ip addresses     column of strings, optional
    8  metadata         column of strings, JSON objects, optional

A column is one value where all interactions have the same, else [values, codes]: the distinct values in order of
first appearance, and a code an interaction, of 1, 2 or 4 bytes (the width is the length of the codes by n), little
endian. Code k stands for values[k]; in an optional column for values[k - 1], and 0 for absent. An optional column
that is absent everywhere is nil.

Steps are the n - 1 differences from one time to the next, divided by the unit (1, 1,000 or 1,000,000 microseconds).
They are little endian integers, stored by planes: first the lowest byte of each, then the next byte of each, for as
many planes as the largest one needs.

The account is the block's key and is not repeated inside. Event ids stand outside of the columns: nothing makes
them smaller, and whether an id is in a block is known without decompressing it.
"""

import struct
import zlib
from collections.abc import Sequence
from operator import attrgetter

import msgspec

from domain import block_v1
from domain.columns import Columns, decode_columns, encode_columns, interactions_of, times_of
from domain.compression import compress, expand
from domain.errors import CorruptBlockError
from domain.frame import MAX_PAYLOAD_BYTES
from domain.interaction import Interaction

VERSION = 2

_HEAD = struct.Struct("<BBI")
_ID_BYTES = 16
_LEB128_MORE = 0x80
_LEB128_BYTES = 5

_place = attrgetter("occurred_at", "event_id")


def encode_block(interactions: Sequence[Interaction], *, level: int = 3) -> bytes:
    """Interactions of one account and week, in any order, as one block.

    Raises:
        ValueError: there are none, they are of more than one account, or they are too large for one block.

    """
    if not interactions:
        raise ValueError("a block holds at least one interaction")
    if len(interactions) > 1:
        account_id = interactions[0].account_id
        if any(one.account_id != account_id for one in interactions):
            raise ValueError("a block holds the interactions of one account only")
        interactions = sorted(interactions, key=_place)
    payload = encode_columns(interactions)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"columns of {len(payload)} bytes are over the limit of {MAX_PAYLOAD_BYTES}")
    codec, stored = compress(payload, level)
    ids = b"".join([one.event_id for one in interactions])
    body = b"".join((_leb128(len(interactions)), _leb128(len(payload)), ids, stored))
    return _HEAD.pack(VERSION, codec, _checksum(codec, body)) + body


def decode_block(data: bytes, account_id: str) -> list[Interaction]:
    """The interactions of a block of any version, oldest first.

    Raises:
        CorruptBlockError: truncated, altered, inconsistent, or of an unknown version.

    """
    if data[:1] == b"\1":
        return sorted(block_v1.decode_block(data, account_id), key=_place)
    ids, columns = _read(data)
    try:
        return interactions_of(columns, ids, account_id)
    except (IndexError, KeyError, ValueError, OverflowError) as error:
        raise CorruptBlockError(f"block of {account_id!r}: {error}") from error


def event_ids(data: bytes) -> list[bytes]:
    """The event ids of a block of any version, without its columns being looked at where they stand apart.

    Raises:
        CorruptBlockError: see `decode_block`.

    """
    if data[:1] == b"\1":
        return [one.event_id for one in decode_block(data, "")]
    ids, _, _, _ = _frame(data)
    return [ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)]


def time_span(data: bytes) -> tuple[int, int]:
    """The earliest and the latest occurred_at in a block, microseconds since the Unix epoch.

    Raises:
        CorruptBlockError: see `decode_block`.

    """
    if data[:1] == b"\1":
        interactions = decode_block(data, "")
        return interactions[0].occurred_at, interactions[-1].occurred_at
    ids, columns = _read(data)
    try:
        times = times_of(columns, len(ids) // _ID_BYTES)
    except (ValueError, OverflowError) as error:
        raise CorruptBlockError(str(error)) from error
    return times[0], times[-1]


def _read(data: bytes) -> tuple[bytes, Columns]:
    """Event ids and columns of a block of version 2."""
    ids, codec, stored, length = _frame(data)
    try:
        return ids, decode_columns(expand(codec, stored, length))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptBlockError(str(error)) from error


def _frame(data: bytes) -> tuple[bytes, int, bytes, int]:
    """Event ids of a block of version 2, and its columns: codec, bytes as stored, length before compression."""
    if len(data) < _HEAD.size:
        raise CorruptBlockError(f"a block is at least {_HEAD.size} bytes long, this one has {len(data)}")
    version, codec, expected = _HEAD.unpack_from(data)
    if version != VERSION:
        raise CorruptBlockError(f"unknown block version {version}, expected 1 or {VERSION}")
    body = data[_HEAD.size :]
    if _checksum(codec, body) != expected:
        raise CorruptBlockError("checksum mismatch: the block is truncated or was altered")
    count, at = _read_leb128(body, 0)
    length, at = _read_leb128(body, at)
    ids = body[at : at + count * _ID_BYTES]
    if not count or len(ids) != count * _ID_BYTES:
        raise CorruptBlockError(f"the block does not hold {count} event ids")
    return ids, codec, body[at + len(ids) :], length


def _checksum(codec: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(bytes((VERSION, codec))))


def _leb128(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all bytes but the last have the highest bit set."""
    encoded = bytearray()
    while number >= _LEB128_MORE:
        encoded.append(number & 0x7F | _LEB128_MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it."""
    if at < len(data) and data[at] < _LEB128_MORE:
        return data[at], at + 1
    number = 0
    for place, byte in enumerate(data[at : at + _LEB128_BYTES]):
        number |= (byte & 0x7F) << 7 * place
        if byte < _LEB128_MORE:
            return number, at + place + 1
    raise CorruptBlockError("a length in the header has no end")
