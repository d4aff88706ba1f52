import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInputError
from runtime.importing.time_mapping import MARGIN_US, MOST_AHEAD_US, MOST_BACK_US, TimeMapping, parse_span

NOW_US = 1_790_000_000_000_000
WEEK_US = 7 * 86_400 * 1_000_000

times = st.lists(st.integers(-(10**16), 10**17), min_size=1, max_size=20)
spans = st.none() | st.integers(1, 30 * WEEK_US)


def mapping_of(found: list[int], span_us: int | None, *, shift: bool = True) -> TimeMapping:
    return TimeMapping(NOW_US, min(found), max(found), shift, span_us)


@given(times, spans)
def test_moved_times_keep_their_order_end_now_and_fit_the_span(found: list[int], span_us: int | None) -> None:
    mapping = mapping_of(found, span_us)
    moved = [mapping.moved(one) for one in sorted(found)]
    assert moved == sorted(moved)
    assert moved[-1] == NOW_US
    length = max(found) - min(found)
    assert moved[-1] - moved[0] == (length if span_us is None else min(length, span_us))


@given(times, spans)
def test_equal_times_stay_equal_and_a_shift_alone_keeps_every_distance(found: list[int], span_us: int | None) -> None:
    mapping = mapping_of(found, None)
    assert {mapping.moved(one) - one for one in found} == {NOW_US - max(found)}
    squeezed = mapping_of(found, span_us)
    assert [squeezed.moved(one) for one in found] == [squeezed.moved(one) for one in found]


def test_a_squeeze_is_linear_to_the_microsecond() -> None:
    mapping = mapping_of([0, 10**12], 10**9)
    assert [mapping.moved(at) - NOW_US for at in (0, 10**12 // 4, 10**12 - 1, 10**12)] == [
        -(10**9),
        -750_000_000,
        0,
        0,
    ]


def test_without_a_shift_times_stay_and_missing_ones_are_those_of_the_first_import() -> None:
    mapping = mapping_of([5, 9], None, shift=False)
    assert [mapping.moved(5), mapping.moved(9), mapping.moved(None)] == [5, 9, NOW_US]


@pytest.mark.parametrize(("first", "last"), [(-MOST_BACK_US, 0), (-1, MOST_AHEAD_US)])
def test_what_the_server_takes_passes(first: int, last: int) -> None:
    mapping_of([NOW_US + first, NOW_US + last], None, shift=False).check(NOW_US, reused=False)


@pytest.mark.parametrize(("first", "last"), [(-MOST_BACK_US - 1, 0), (-1, MOST_AHEAD_US + 1)])
def test_what_it_would_refuse_is_an_error_that_proposes_both_options(first: int, last: int) -> None:
    with pytest.raises(InvalidInputError, match="--span 20w"):
        mapping_of([NOW_US + first, NOW_US + last], None, shift=False).check(NOW_US, reused=False)


def test_the_advice_fits_the_case() -> None:
    def advice(found: list[int], span_us: int | None = None, *, shift: bool = False, reused: bool = False) -> str:
        with pytest.raises(InvalidInputError) as caught:
            mapping_of(found, span_us, shift=shift).check(NOW_US, reused=reused)
        return str(caught.value)

    assert "--shift-to-now" in advice([0, WEEK_US])
    assert "--shift-to-now" not in advice([0, 100 * WEEK_US])
    assert "--span 20w" in advice([0, 100 * WEEK_US], shift=True)
    assert "--span 23w" in advice([0, 100 * WEEK_US], 24 * WEEK_US, shift=True)
    assert "--as-new" in advice([0, WEEK_US], reused=True)


def test_moved_times_keep_a_margin_for_a_long_import() -> None:
    longest = MOST_BACK_US - MARGIN_US
    mapping_of([0, 100 * WEEK_US], longest).check(NOW_US, reused=False)
    with pytest.raises(InvalidInputError):
        mapping_of([0, 100 * WEEK_US], longest + 1).check(NOW_US, reused=False)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("20w", 12_096_000)]
)
def test_spans(text: str, seconds: int) -> None:
    assert parse_span(text) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "5", "w", "0w", "-1d", "1.5h", "1y", "1w2d"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(InvalidInputError, match="no length of time"):
        parse_span(text)
