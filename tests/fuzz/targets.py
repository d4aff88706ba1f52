"""What is fuzzed: a function a reader, which raises where it does what it never may.

A reader may refuse bytes with its own error. What it takes has to hold: it goes on its way as in the product.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec
from google.protobuf.message import DecodeError

from api.bodies import Body, Parsed
from api.catalog import ITEMS, PROFILES
from api.cursors import read_cursor, write_cursor
from api.encodings import unpacked
from api.feedback import FEEDBACK
from api.interaction import LINES
from api.parsing import INTERACTIONS
from api.problems import Problem
from api.schemas import InteractionIn
from api.stamping import Stamp, stamp
from api.turns import Turns
from domain.actions import actions_of
from domain.block import decode_block, encode_block, event_ids, time_span
from domain.errors import CorruptBlockError
from domain.interaction import decode_interactions, encode_interactions
from domain.outcomes import touches_of
from doors.bharatml import interaction_store_pb2 as pb
from doors.bharatml.mapping import of_orders, tell_orders
from doors.kafka.clicks import read_click, read_order
from doors.kafka.messages import Place, read_interactions
from intake.ledger import LedgerDays

_T = TypeVar("_T")

_NOW_US = 1_795_000_000_000_000
_DAYS = LedgerDays(7)
_STAMP = Stamp(_NOW_US, "key", "agent", "127.0.0.1")
_ACCOUNT = "alice"
_LONGEST = 100_000


def _at_once(work: Turns[_T]) -> _T:
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: _T = done.value
            return found


def interactions_body(data: bytes) -> None:
    """What POST /interaction takes can be kept, read back equal, and read by every fan-out."""
    with suppress(Problem):
        _keep(INTERACTIONS.parse(data, _NOW_US))


def interactions_lines(data: bytes) -> None:
    """Likewise as NDJSON; each line that is taken is one that is taken by itself."""
    with suppress(Problem):
        parsed = _at_once(LINES.parse(data, _NOW_US))
        _keep(parsed)
        assert parsed.lines is not None
        assert len(parsed.valid) + parsed.rejected == len(parsed.lines)
        lines = data.split(b"\n")
        for index, one in parsed.valid:
            assert INTERACTIONS.parse(lines[parsed.lines[index] - 1], _NOW_US).valid == [(0, one)]


def _keep(parsed: Parsed[InteractionIn]) -> None:
    taken = [stamp(one, index, _STAMP, _DAYS).interaction for index, one in parsed.valid]
    assert decode_interactions(encode_interactions(taken)) == taken
    actions_of(taken)
    touches_of(taken)
    for one in taken:
        assert decode_block(encode_block([one]), one.account_id) == [one]


def bharatml_orders(data: bytes) -> None:
    """Orders that are taken come back as they were; orders, as they have all that a click has."""
    with suppress(Problem, DecodeError):
        request = pb.PersistOrderDataRequest.FromString(data)
        taken = of_orders(request.user_id, request.data, _NOW_US)
        assert decode_interactions(encode_interactions(taken)) == taken
        actions_of(taken)
        touches_of(taken)
        answer = pb.RetrieveOrderDataResponse()
        tell_orders([decode_block(encode_block([one]), one.account_id)[0] for one in taken], answer.data.add)
        for told, sent in zip(answer.data, request.data, strict=True):
            for field in ("catalog_id", "product_id", "sub_order_num", "timestamp", "metadata"):
                assert getattr(told, field) == getattr(sent, field), field


def kafka_message(data: bytes) -> None:
    """Whatever the format, a message is taken or named, in the end both; what is taken can be kept."""
    for read in (read_interactions, read_click, read_order):
        contents = read(data, Place("topic", 0, 1, _NOW_US // 1_000), _NOW_US)
        assert contents.valid or contents.faults
        taken = [one.interaction for one in contents.valid]
        assert decode_interactions(encode_interactions(taken)) == taken
        actions_of(taken)
        touches_of(taken)
        for one in taken:
            assert decode_block(encode_block([one]), one.account_id) == [one]


def _other_body(body: Body) -> Callable[[bytes], None]:  # type: ignore[type-arg]
    def target(data: bytes) -> None:
        with suppress(Problem):
            body.parse(data, _NOW_US)

    return target


def _packed(coding: str) -> Callable[[bytes], None]:
    """What is unpacked is bounded, and counted as it grows."""

    def target(data: bytes) -> None:
        told: list[int] = []
        with suppress(Problem):
            found = _at_once(unpacked(coding, data, _LONGEST, told.append))
            assert len(found) == sum(told)
        assert sum(told) <= _LONGEST

    return target


def block(data: bytes) -> None:
    """A block of version 2 whose checksum is right: else nearly nothing would come past that."""
    if data:
        codec, rest = data[:1], data[1:]
        checksum = zlib.crc32(rest, zlib.crc32(b"\2" + codec))
        _read_block(b"\2" + codec + struct.pack("<I", checksum) + rest)


def block_v1(data: bytes) -> None:
    """Likewise of version 1."""
    _read_block(_framed(data))


def block_as_stored(data: bytes) -> None:
    """Bytes of which nothing is right."""
    _read_block(data)


def _read_block(data: bytes) -> None:
    with suppress(CorruptBlockError):
        found = decode_block(data, _ACCOUNT)
        assert sorted(event_ids(data)) == sorted(one.event_id for one in found)
        assert time_span(data) == (found[0].occurred_at, found[-1].occurred_at)


def intake_row(data: bytes) -> None:
    """A row of the intake log, its checksum being right."""
    with suppress(CorruptBlockError):
        decode_interactions(_framed(data))


def _framed(data: bytes) -> bytes:
    """A frame of version 1 (domain/frame.py) of which only the checksum is given."""
    head, rest = data[:9].ljust(9, b"\0"), data[9:]
    checksum = zlib.crc32(rest, zlib.crc32(b"\1" + head))
    return b"\1" + head + struct.pack("<I", checksum) + rest


class _Place(msgspec.Struct, array_like=True):
    score: int
    product_id: str
    as_of: bytes


def cursor(data: bytes) -> None:
    """What is read as a cursor is what another page would be asked for by."""
    with suppress(Problem, UnicodeDecodeError):
        place = read_cursor(data.decode("latin-1"), _Place)
        assert read_cursor(write_cursor(place), _Place) == place


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "interactions_body": interactions_body,
    "interactions_lines": interactions_lines,
    "gzip": _packed("gzip"),
    "zstd": _packed("zstd"),
    "feedback_body": _other_body(FEEDBACK),
    "items_body": _other_body(ITEMS),
    "profiles_body": _other_body(PROFILES),
    "block": block,
    "block_v1": block_v1,
    "block_as_stored": block_as_stored,
    "intake_row": intake_row,
    "cursor": cursor,
    "bharatml_orders": bharatml_orders,
    "kafka_message": kafka_message,
}
