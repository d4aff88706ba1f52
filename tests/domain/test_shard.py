"""Which shard an account belongs to: for ever, and for whoever computes it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shard import Shard, shard_of


@pytest.mark.parametrize(
    ("account_id", "of_two", "of_ten", "of_1024"), [("alice", 1, 7, 175), ("bob", 0, 0, 730), ("Åsa", 0, 4, 422)]
)
def test_it_never_changes(account_id: str, of_two: int, of_ten: int, of_1024: int) -> None:
    """As others compute it: printf %s alice | sha256sum | cut -c1-16, as a number, modulo."""
    assert [shard_of(account_id, shards) for shards in (2, 10, 1_024)] == [of_two, of_ten, of_1024]


@given(st.text(max_size=128), st.integers(1, 100))
def test_every_account_has_one_shard_and_doubling_splits_it_in_two(account_id: str, shards: int) -> None:
    assert [number for number in range(shards) if Shard(number, shards).holds(account_id)] == [
        shard_of(account_id, shards)
    ]
    assert shard_of(account_id, 2 * shards) in {shard_of(account_id, shards), shard_of(account_id, shards) + shards}


def test_shards_are_alike() -> None:
    counts = Counter(shard_of(f"account {number}", 8) for number in range(80_000))
    assert all(9_600 < counts[number] < 10_400 for number in range(8))
