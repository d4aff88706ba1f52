"""The contract of compaction: what its workflow takes, plans and answers. It stays in histories."""

from dataclasses import dataclass, field

COMPACT_BLOCKS = "CompactBlocks"
PLAN_COMPACTION = "plan_compaction"
COMPACT_RANGE = "compact_range"
PROGRESS = "progress"

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """What is left to do: token ranges as (start, end), and weeks from `first_week` to `this_week`."""

    first_week: int
    this_week: int
    ranges: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """What was done. Blocks and bytes are those of the accounts and weeks that were folded."""

    ranges: int = 0
    weeks_folded: int = 0
    events: int = 0
    blocks_before: int = 0
    blocks_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    unreadable: int = 0
    """Accounts' weeks that were left alone, since one of their blocks can't be read."""
    unreadable_named: list[str] = field(default_factory=list)
    """The first of them, with the fault."""

    def plus(self, other: "CompactionResult") -> "CompactionResult":
        return CompactionResult(
            self.ranges + other.ranges,
            self.weeks_folded + other.weeks_folded,
            self.events + other.events,
            self.blocks_before + other.blocks_before,
            self.blocks_after + other.blocks_after,
            self.bytes_before + other.bytes_before,
            self.bytes_after + other.bytes_after,
            self.unreadable + other.unreadable,
            [*self.unreadable_named, *other.unreadable_named][:MOST_NAMED],
        )


@dataclass(frozen=True, slots=True)
class CompactionProgress:
    done: CompactionResult
    ranges_left: int


@dataclass(frozen=True, slots=True)
class CompactionInput:
    """Input of CompactBlocks. The last two are for when it goes on as a new run."""

    weeks_back: int
    """0 looks at the present week only, 24 at all."""
    events_a_second: int | None = None
    """The pace; None for that of the worker's settings."""
    plan: CompactionPlan | None = None
    done: CompactionResult = field(default_factory=CompactionResult)


@dataclass(frozen=True, slots=True)
class RangeInput:
    start: int
    end: int
    first_week: int
    this_week: int
    events_a_second: int | None = None
