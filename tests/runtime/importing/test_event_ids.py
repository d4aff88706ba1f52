from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.importing import event_ids
from runtime.importing.event_ids import EventIds, Repeats
from runtime.importing.rows import Row

OWN = "01890a5d-ac96-774b-bcce-b302099a8057"

# Few distinct lines, so that most files have identical rows.
files = st.lists(st.sampled_from([b"a", b"b", b"c", b"ab", b""]) | st.binary(max_size=3), max_size=30)


def row(source: bytes, event_id: str | None = None) -> Row:
    return Row(1, source, {}, None, event_id)


def ids_of(rows: list[Row], salt: str = "", name: str = "jsonl") -> list[bytes]:
    repeats = Repeats()
    for one in rows:
        repeats.see(one)
    ids = EventIds(name, repeats.counts(), salt)
    return [ids.of(one) for one in rows]


@given(files)
def test_the_same_file_has_the_same_ids_and_no_two_rows_share_one(sources: list[bytes]) -> None:
    rows = [row(source) for source in sources]
    ids = ids_of(rows)
    assert ids == ids_of(rows)
    assert len(set(ids)) == len(ids)


@given(files, files)
def test_rows_keep_their_ids_when_the_file_grows(sources: list[bytes], more: list[bytes]) -> None:
    rows = [row(source) for source in sources]
    assert ids_of(rows + [row(source) for source in more])[: len(rows)] == ids_of(rows)


@given(files)
def test_the_order_of_different_rows_does_not_matter(sources: list[bytes]) -> None:
    rows = [row(source) for source in sources]
    assert Counter(ids_of(rows)) == Counter(ids_of(rows[::-1]))


@given(files)
def test_all_rows_on_one_bit_of_the_bitmap_change_nothing(sources: list[bytes]) -> None:
    rows = [row(source) for source in sources]
    expected = ids_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_ids, "_BITMAP_BITS", 8)
        assert ids_of(rows) == expected


def test_rows_with_one_key_by_chance_are_still_distinct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_ids, "_key", lambda _: 7)
    ids = ids_of([row(b"a"), row(b"b"), row(b"a")])
    assert len(set(ids)) == 3


def test_the_file_s_own_ids_are_kept_and_set_apart_only_as_new() -> None:
    rows = [row(b"a", OWN), row(b"b", OWN)]
    assert ids_of(rows) == [UUID(OWN).bytes] * 2
    new = ids_of(rows, salt="again")
    assert new[0] == new[1] != UUID(OWN).bytes


def test_format_and_salt_are_part_of_the_id() -> None:
    rows = [row(b"a")]
    assert (
        len({*ids_of(rows), *ids_of(rows, name="movielens"), *ids_of(rows, salt="x"), *ids_of(rows, salt="y")}) == 4
    )


def test_ids_are_valid_uuids() -> None:
    assert UUID(bytes=ids_of([row(b"a")])[0]).version == 8
