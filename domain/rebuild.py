"""The contract of a rebuild of popularity: what its workflow takes, plans and answers. It stays in histories."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from domain.errors import InvalidInputError
from domain.event_types import EventWeight
from domain.week import WEEKS_KEPT, date_of, day_of, monday_of, week_of

REBUILD_POPULARITY = "RebuildPopularity"
WORKFLOW_ID = "rebuild-popularity"
"""Always this one, so that Temporal lets no second rebuild start beside a first."""

BEGIN_REBUILD = "begin_rebuild"
RECOUNT_RANGE = "recount_range"
SETTLE_REBUILD = "settle_rebuild"
ADD_DIFFERENCE = "add_difference"
REPAIR_LEDGER = "repair_ledger"
END_REBUILD = "end_rebuild"

PROGRESS = "progress"
NAMES_READ = "names_read"

MOST_NAMED = 50

Purpose = Literal["rebuild", "compare", "verify", "repair"]
"""Adds the difference, only finds it, finds it and holds ledger against blocks, or does all three."""


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """What is left to recount: token ranges as (start, end), and weeks, both included."""

    rebuild_id: UUID
    first_week: int
    last_week: int
    ranges: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class RecountResult:
    ranges: int = 0
    accounts: int = 0
    events: int = 0
    """Interactions found in blocks, each once."""
    counted: int = 0
    """Of these, those that went into the difference."""

    def plus(self, other: "RecountResult") -> "RecountResult":
        return RecountResult(
            self.ranges + other.ranges,
            self.accounts + other.accounts,
            self.events + other.events,
            self.counted + other.counted,
        )


@dataclass(frozen=True, slots=True)
class RebuildInput:
    """Input of RebuildPopularity. The last two are for when it goes on as a new run."""

    purpose: Purpose
    from_day: str | None = None
    """As 2026-01-31; None: the first one that blocks are kept of."""
    to_day: str | None = None
    """Included; None: tomorrow, by UTC, since clocks differ."""
    weights: dict[str, EventWeight] | None = None
    """None: those of the worker that begins. Only to compare: live traffic goes by the workers' weights."""
    plan: RebuildPlan | None = None
    done: RecountResult = field(default_factory=RecountResult)


@dataclass(frozen=True, slots=True)
class BeginInput:
    rebuild_id: UUID
    purpose: Purpose
    from_day: str | None
    to_day: str | None
    weights: dict[str, EventWeight] | None


@dataclass(frozen=True, slots=True)
class RecountInput:
    rebuild_id: UUID
    start: int
    end: int
    first_week: int
    last_week: int


@dataclass(frozen=True, slots=True)
class Counts:
    score: int
    """In millionths."""
    views: int
    purchases: int
    favorites: int
    carts: int
    reviews: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A product, or a product's day, where what is live is not what the blocks say."""

    product_id: str
    day: str | None
    live: Counts
    recount: Counts


@dataclass(frozen=True, slots=True)
class Settled:
    """How much differs, and the worst of it."""

    products: int = 0
    product_days: int = 0
    in_no_block: int = 0
    """Ids that the ledger says were accepted and released, and no block holds."""
    unknown_to_ledger: int = 0
    """Interactions in blocks that would be counted again if they were sent again."""
    worst: list[Difference] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.products or self.product_days or self.in_no_block or self.unknown_to_ledger)


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    stage: str
    """In words."""
    done: RecountResult
    ranges_left: int
    settled: Settled | None = None
    """Once it is known."""


@dataclass(frozen=True, slots=True)
class RebuildResult:
    recounted: RecountResult
    settled: Settled
    added: bool
    """Whether the difference was added to the live rows."""


def rebuildable_days(now_us: int) -> tuple[date, date]:
    """The first and the last day that can be recounted: of 24 weeks, this one among them, up to tomorrow.

    Blocks are kept one week longer, so a rebuild may be under way when a week ends.
    """
    return monday_of(week_of(now_us) - WEEKS_KEPT + 1), date_of(day_of(now_us)) + timedelta(days=1)


def wanted_days(from_day: str | None, to_day: str | None, now_us: int) -> tuple[date, date]:
    """The days asked for.

    Raises:
        InvalidInputError: not a day, no day at all, or not kept.

    """
    first, last = rebuildable_days(now_us)
    wanted_first, wanted_last = _day("from", from_day, first), _day("to", to_day, last)
    if wanted_first > wanted_last:
        raise InvalidInputError(f"from {wanted_first} to {wanted_last}: that is no day at all")
    if wanted_first < first or wanted_last > last:
        raise InvalidInputError(f"from {wanted_first} to {wanted_last}: blocks allow for {first} to {last}")
    return wanted_first, wanted_last


def _day(name: str, text: str | None, otherwise: date) -> date:
    if text is None:
        return otherwise
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{name}: {text!r} is not a day like 2026-01-31") from error
