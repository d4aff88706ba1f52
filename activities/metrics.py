"""What operators ask of fan-outs, compaction and training, for the worker's metrics.

Effects are counted once, after their commit: a worker that dies in between leaves them uncounted, and an attempt that
finds them done counts nothing. Attempts and failures are counted as often as there are some.
"""

from prometheus_client import Counter, Histogram

ATTEMPTS = Counter(
    "footfall_activity_attempts", "Attempts at an activity; that of a fan-out has its name.", ["activity"]
)
FAILURES = Counter(
    "footfall_activity_failures", "Attempts that failed, by the class of their error.", ["activity", "error"]
)
VISIBLE_SECONDS = Histogram(
    "footfall_visible_seconds",
    "From an intake row's commit to that of this fan-out's effect, by the clocks of PostgreSQL and the worker.",
    ["fan_out"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200),
)
FAN_OUT_INTERACTIONS = Counter(
    "footfall_fan_out_interactions", "Interactions applied, each once, by fan-out.", ["fan_out"]
)
RELEASED_ROWS = Counter("footfall_intake_rows_released", "Intake rows that every fan-out had applied.")

COMPACTED_BLOCKS = Counter("footfall_compaction_blocks", "Blocks that were folded into others.")
COMPACTED_INTERACTIONS = Counter("footfall_compaction_interactions", "Interactions of the blocks made of them.")
UNREADABLE_WEEKS = Counter(
    "footfall_compaction_unreadable_weeks", "Accounts' weeks left alone because a block in them is corrupt."
)

TRAININGS = Counter(
    "footfall_trainings",
    "Trained models by what became of them: current, candidate or refused. A registration that is tried again counts "
    "again.",
    ["state"],
)
