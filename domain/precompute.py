"""The contract of recommendations made ahead: what its workflow takes, does range by range, and answers."""

from dataclasses import dataclass

PRECOMPUTE_RECOMMENDATIONS = "PrecomputeRecommendations"
PLAN_PRECOMPUTE = "plan_precompute"
PRECOMPUTE_RANGE = "precompute_range"

PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class PrecomputeInput:
    weeks_back: int = 1
    """Accounts with interactions in this week or so many before it."""
    accounts_a_second: int | None = None
    """The pace, at the most; None: the worker's setting."""


@dataclass(frozen=True, slots=True)
class PrecomputePlan:
    first_week: int
    last_week: int
    ranges: list[tuple[int, int]]
    """Token ranges, as (start, end); none where there is no model to ask."""


@dataclass(frozen=True, slots=True)
class PrecomputeRange:
    start: int
    end: int
    first_week: int
    last_week: int
    accounts_a_second: int | None = None


@dataclass(frozen=True, slots=True)
class PrecomputeResult:
    ranges: int = 0
    accounts: int = 0
    """Those that have an answer now."""
    left_out: int = 0
    """Those that the recommender had no answer of its own for."""

    def plus(self, other: "PrecomputeResult") -> "PrecomputeResult":
        return PrecomputeResult(
            self.ranges + other.ranges, self.accounts + other.accounts, self.left_out + other.left_out
        )


@dataclass(frozen=True, slots=True)
class RangeNote:
    """How far an attempt of a range came: the next one goes on behind the account."""

    after_account: str
    done: PrecomputeResult


@dataclass(frozen=True, slots=True)
class PrecomputeProgress:
    done: PrecomputeResult
    ranges_left: int
