"""Ids that sort by time, and ids that follow from content."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import derive_id, derive_id_of_time, earliest_id, id_text, id_texts, made_at, new_id


def test_a_new_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = new_id()
    assert before <= made_at(made) <= datetime.now(UTC)
    assert earliest_id(made_at(made)) <= made < earliest_id(made_at(made) + timedelta(milliseconds=1))


def test_another_version_holds_no_time() -> None:
    with pytest.raises(ValueError, match="not a UUIDv7"):
        made_at(uuid4())


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_a_derived_id_depends_on_every_part_and_its_bounds(one: list[bytes], other: list[bytes]) -> None:
    assert (derive_id(*one) == derive_id(*other)) == (one == other)
    assert UUID(bytes=derive_id(*one)).version == 8


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.lists(st.binary()), st.lists(st.binary()))
def test_an_id_of_content_and_time_sorts_by_the_time(
    early: int, late: int, one: list[bytes], other: list[bytes]
) -> None:
    first, second = derive_id_of_time(early, *one), derive_id_of_time(late, *other)
    assert (first == second) == ((early, one) == (late, other))
    assert UUID(bytes=first).version == 8
    if early != late:
        assert (first < second) == (early < late)


@given(st.uuids())
def test_id_text_is_the_usual_one(one: UUID) -> None:
    assert id_text(one.bytes) == str(one)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20))
def test_many_ids_have_the_texts_of_each(ids: list[bytes]) -> None:
    assert id_texts(ids) == [str(UUID(bytes=one)) for one in ids]
