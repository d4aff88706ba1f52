"""Week arithmetic. Weeks are counted from the Monday before the Unix epoch, so years have no seam.

Week 0 is Monday 1969-12-29 to Sunday 1970-01-04, UTC. Moments are microseconds since the Unix epoch.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

WEEKS_KEPT = 24
WEEKS_PER_PARTITION = 8

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MONDAY = date(1969, 12, 29)
DAY_US = 86_400_000_000
_WEEK_US = 7 * DAY_US
_MONDAY_OFFSET_US = 3 * DAY_US  # 1970-01-01 was a Thursday
_ONE_US = timedelta(microseconds=1)
_EXACT_FLOATS_US = 2**32 * 1_000_000  # below this doubles of seconds lie less than half a microsecond apart


def to_us(moment: datetime) -> int:
    """Microseconds since the Unix epoch of an aware datetime."""
    return (moment - _EPOCH) // _ONE_US


def from_us(moment_us: int) -> datetime:
    """The inverse. Up to the year 2106 by way of a float of seconds, which is exact there and twice as quick."""
    if 0 <= moment_us < _EXACT_FLOATS_US:
        return datetime.fromtimestamp(moment_us / 1e6, UTC)
    return _EPOCH + timedelta(microseconds=moment_us)


def all_from_us(moments_us: Sequence[int]) -> list[datetime]:
    """`from_us` of each of many."""
    if not moments_us or min(moments_us) < 0 or max(moments_us) >= _EXACT_FLOATS_US:
        return [from_us(moment) for moment in moments_us]
    fromtimestamp = datetime.fromtimestamp
    return [fromtimestamp(moment / 1e6, UTC) for moment in moments_us]


def week_of(moment_us: int) -> int:
    """The number of the week that holds this moment."""
    return (moment_us + _MONDAY_OFFSET_US) // _WEEK_US


def week_start_us(week: int) -> int:
    """The first microsecond of a week."""
    return week * _WEEK_US - _MONDAY_OFFSET_US


def monday_of(week: int) -> date:
    return _FIRST_MONDAY + timedelta(weeks=week)


def day_of(moment_us: int) -> int:
    """The number of the UTC day, counted from 1970-01-01."""
    return moment_us // DAY_US


@lru_cache(512)
def date_of(day: int) -> date:
    """The date of a day number, as `day_of` gives it."""
    return _EPOCH.date() + timedelta(days=day)


def day_start_us(day: date) -> int:
    """The first microsecond of a UTC day."""
    return (day - _EPOCH.date()).days * DAY_US
