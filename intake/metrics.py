"""What operators ask of the intake behind the front door, for GET /metrics."""

from prometheus_client import Counter, Histogram

BATCH_INTERACTIONS = Histogram(
    "footfall_batch_interactions",
    "Interactions of a batch when it is sealed; those that the sweeper carries are not among them.",
    buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000),
)
START_FAILURES = Counter(
    "footfall_batch_start_failures", "Attempts to start a batch's workflow that Temporal did not take."
)
LEFT_TO_SWEEPER = Counter(
    "footfall_batches_left_to_sweeper",
    "Batches whose workflow could not be started for so long that it was given up.",
)
SWEPT_BATCHES = Counter("footfall_swept_batches", "Lost batches that the sweeper has put into new ones.")
SWEPT_INTERACTIONS = Counter("footfall_swept_interactions", "Interactions of these.")
