"""The block format: what is written is read, and damage is never taken for data."""

import hashlib
import struct
import zlib
from importlib import resources

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import frame
from domain.block import decode_block, encode_block, time_span
from domain.errors import CorruptBlockError
from domain.interaction import Interaction, decode_interactions, encode_interactions
from tests.factories import interaction

_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_optional_text = st.none() | _text


def interactions_of(account_id: st.SearchStrategy[str]) -> st.SearchStrategy[Interaction]:
    return st.builds(
        Interaction,
        event_id=st.binary(min_size=16, max_size=16),
        account_id=account_id,
        event_type=st.sampled_from(["view", "purchase"]) | _text,
        ref_type=st.sampled_from(["Product", "Category"]),
        ref_id=_text,
        occurred_at=st.integers(-(2**62), 2**62),
        account_number=st.none() | st.integers(-(2**63), 2**63 - 1),
        session_id=_optional_text,
        user_agent=_optional_text,
        ip_address=_optional_text,
        metadata=st.none() | st.just('{"price":"1.5"}') | _text,
    )


_of_one_account = st.lists(interactions_of(st.just("alice")), min_size=1, max_size=40)


def placed(interactions: list[Interaction]) -> list[Interaction]:
    return sorted(interactions, key=lambda one: (one.occurred_at, one.event_id))


@given(_of_one_account)
def test_a_block_gives_back_what_went_in_oldest_first(interactions: list[Interaction]) -> None:
    assert decode_block(encode_block(interactions), "alice") == placed(interactions)


@given(_of_one_account)
def test_its_time_span_is_that_of_its_interactions(interactions: list[Interaction]) -> None:
    times = [one.occurred_at for one in interactions]
    assert time_span(encode_block(interactions)) == (min(times), max(times))


@pytest.mark.parametrize("different", [1, 2, 255, 256, 257, 65_536, 65_537])
def test_codes_are_as_wide_as_they_must_be(different: int) -> None:
    """Around the number of values at which a code takes another byte; sessions have one more, for absent."""
    interactions = [
        interaction(ref_id=f"p{n}", session_id=f"s{n}" if n % 3 else None, occurred_at=n) for n in range(different)
    ]
    assert decode_block(encode_block(interactions), "alice") == interactions


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 86_400_000_000 * 7])
def test_times_of_any_resolution(unit: int) -> None:
    times = [start * unit for start in (-5, 0, 0, 1, 200, 40_000)]
    assert [one.occurred_at for one in decode_block(_block_at(times), "alice")] == times


def _block_at(times: list[int]) -> bytes:
    return encode_block([interaction(occurred_at=time) for time in times])


@given(st.lists(interactions_of(_text), max_size=40))
def test_an_intake_row_gives_back_what_went_in(interactions: list[Interaction]) -> None:
    assert decode_interactions(encode_interactions(interactions)) == interactions


@given(_of_one_account, st.data())
def test_a_flipped_bit_is_an_error(interactions: list[Interaction], data: st.DataObject) -> None:
    block = bytearray(encode_block(interactions))
    bit = data.draw(st.integers(0, len(block) * 8 - 1))
    block[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptBlockError):
        decode_block(bytes(block), "alice")


@given(_of_one_account, st.data())
def test_a_truncated_block_is_an_error(interactions: list[Interaction], data: st.DataObject) -> None:
    block = encode_block(interactions)
    with pytest.raises(CorruptBlockError):
        decode_block(block[: data.draw(st.integers(0, len(block) - 1))], "alice")


@given(st.binary(max_size=200))
def test_foreign_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(CorruptBlockError):
        decode_block(data, "alice")


def sealed_frame(count: int, payload: bytes, *, codec: int = 0, ids: bytes | None = None) -> bytes:
    """A block whose header and checksum are sound, around any columns."""
    own_ids = b"0" * 16 * count if ids is None else ids
    body = bytes([count]) + bytes([len(payload) & 127 | 128, len(payload) >> 7]) + own_ids + payload
    return struct.pack("<BBI", 2, codec, zlib.crc32(body, zlib.crc32(bytes([2, codec])))) + body


@given(st.binary(max_size=100), st.integers(0, 5), st.integers(0, 4))
def test_a_sound_header_around_foreign_columns_is_an_error(payload: bytes, count: int, codec: int) -> None:
    with pytest.raises(CorruptBlockError):
        decode_block(sealed_frame(count, payload, codec=codec), "alice")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (1, 7),
        (1, [["view"], b"\1\0"]),
        (1, [["view"], b"\0"]),
        (1, [["view"], b"\0\0\0"]),
        (2, "X:cup"),
        (2, ""),
        (3, None),
        (3, [7, b"\1"]),
        (3, [1, b"\1" * 9]),
        (5, [["s"], b"\2\0"]),
        (9, "one column too many"),
    ],
)
def test_columns_that_do_not_fit_each_other_are_an_error(place: int, value: object) -> None:
    columns: list[object] = [0, [["view"], b"\0\0"], "Pcup", [1, b"\5"], None, None, None, None, None]
    times = [one.occurred_at for one in decode_block(sealed_frame(2, msgspec.msgpack.encode(columns)), "alice")]
    assert times == [0, 5]
    columns[place : place + 1] = [value]
    with pytest.raises(CorruptBlockError):
        decode_block(sealed_frame(2, msgspec.msgpack.encode(columns)), "alice")


def test_a_length_that_lies_is_refused_before_memory_is_taken() -> None:
    one = bytearray(frame.pack(1, b"x" * 1_000))
    one[6:10] = (frame.MAX_PAYLOAD_BYTES + 1).to_bytes(4, "little")
    with pytest.raises(CorruptBlockError):
        frame.unpack(bytes(one))


@pytest.mark.parametrize("header", ["ffffffffff", "01ffffffff7f", "ffffffff0f01", "01"])
def test_a_header_of_a_block_that_lies_is_refused_before_memory_is_taken(header: str) -> None:
    body = bytes.fromhex(header) + b"0" * 16
    with pytest.raises(CorruptBlockError):
        decode_block(struct.pack("<BBI", 2, 1, zlib.crc32(body, zlib.crc32(b"\2\1"))) + body, "alice")


def test_a_version_of_the_future_is_named() -> None:
    block = bytearray(encode_block([interaction()]))
    block[0] = 9
    with pytest.raises(CorruptBlockError, match="version 9"):
        decode_block(bytes(block), "alice")


def test_a_block_is_of_one_account() -> None:
    with pytest.raises(ValueError, match="one account"):
        encode_block([interaction(account_id="alice"), interaction(account_id="bob")])
    with pytest.raises(ValueError, match="at least one"):
        encode_block([])


def test_a_block_of_version_2_is_these_bytes() -> None:
    """Written down once: a change that reads or writes other bytes is another version."""
    interactions = [
        Interaction(
            bytes(range(16)), "alice", "view", "Product", "cup", 1_700_000_000_000_000,
            7, "s1", "curl", "10.0.0.1", '{"price":"1.5"}',
        ),
        Interaction(bytes(range(16, 32)), "alice", "view", "Category", "cups", 1_700_000_000_000_500),
    ]  # fmt: skip
    plain = bytes.fromhex(
        "0200a1ba95410115101112131415161718191a1b1c1d1e1f93cf00060a24181e41f4a476696577a54363757073"
    )
    with_dictionary = bytes.fromhex(
        "0202bff0ce440266000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00009d0200c40399cf00"
        "060a24181e409292a450637570a54363757073c40200019201c402f401929107c40201009291a27331a46375726ca8af312e"
        "35227dc402010006fc9f2c4ccd8fddeb3f3b7e6bc7b613be2c85e80a"
    )
    assert encode_block(interactions[1:]) == plain
    assert decode_block(plain, "alice") == interactions[1:]
    assert decode_block(with_dictionary, "alice") == interactions


def test_the_dictionary_is_the_one_that_stored_blocks_need() -> None:
    content = (resources.files("domain") / "dictionaries" / "1.zdict").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "0a357b8654f00835a5edb031b0bd25180beea367058e65d45559f75b57a1429e"


def test_a_block_written_by_version_1_is_still_read() -> None:
    """The bytes of a block as they are stored: their meaning must never change."""
    stored = bytes.fromhex(
        "01000200000085000000e24f897f99c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f92cf0006"
        "0a24181e4000cd01f49291a4766965779200009292a450637570a543637570739200019291079201009291a273319201009291a463"
        "75726c9201009291a831302e302e302e319201009291af7b227072696365223a22312e35227d920100"
    )
    assert decode_block(stored, "alice") == [
        Interaction(
            bytes(range(16)), "alice", "view", "Product", "cup", 1_700_000_000_000_000,
            7, "s1", "curl", "10.0.0.1", '{"price":"1.5"}',
        ),
        Interaction(bytes(range(16, 32)), "alice", "view", "Category", "cups", 1_700_000_000_000_500),
    ]  # fmt: skip
