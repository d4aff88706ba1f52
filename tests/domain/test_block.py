"""The block format: what is written is read, and damage is never taken for data."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import frame
from domain.block import decode_block, encode_block
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


@given(_of_one_account)
def test_a_block_gives_back_what_went_in(interactions: list[Interaction]) -> None:
    assert decode_block(encode_block(interactions), "alice") == interactions


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


@given(st.binary(max_size=100), st.integers(0, 5))
def test_a_sound_frame_around_foreign_columns_is_an_error(payload: bytes, count: int) -> None:
    with pytest.raises(CorruptBlockError):
        decode_block(frame.pack(count, payload), "alice")


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, b"short"), (1, []), (2, [["view"], [1]]), (2, [["view"], [-1]]), (3, [["X:cup"], [0]]), (5, [["s"], [2]])],
)
def test_columns_that_do_not_fit_each_other_are_an_error(place: int, value: object) -> None:
    columns: list[object] = [b"0" * 16, [0], [["view"], [0]], [["Pcup"], [0]], None, None, None, None, None]
    assert decode_block(frame.pack(1, msgspec.msgpack.encode(columns)), "alice")
    columns[place] = value
    with pytest.raises(CorruptBlockError):
        decode_block(frame.pack(1, msgspec.msgpack.encode(columns)), "alice")


def test_a_length_that_lies_is_refused_before_memory_is_taken() -> None:
    one = bytearray(frame.pack(1, b"x" * 1_000))
    one[6:10] = (frame.MAX_PAYLOAD_BYTES + 1).to_bytes(4, "little")
    with pytest.raises(CorruptBlockError):
        frame.unpack(bytes(one))


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
