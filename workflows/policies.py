"""Timeouts and retries, each with its reason. Transient faults retry for ever; permanent ones never."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

# Attempts are seen in the Temporal UI; the longest pause is what a mended store waits at the most.
_FOR_EVER = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
)

# The first attempt of a step, inside the worker that has the workflow's task: nothing of it is stored but its result.
# Whatever goes wrong, the step is tried again as an activity that operators can see.
FIRST_ATTEMPT = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=20), retry_policy=RetryPolicy(maximum_attempts=1)
)

# A batch of 10,000 interactions takes about a second, and beats every three; a worker that died is soon noticed.
FAN_OUT = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=5), heartbeat_timeout=timedelta(seconds=12), retry_policy=_FOR_EVER
)

# One short transaction; a statement is cut off after 30 seconds by default. An attempt that died with its worker is
# noticed as soon as a fan-out's.
SHORT = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=40), heartbeat_timeout=timedelta(seconds=12), retry_policy=_FOR_EVER
)

# Drops whole partitions, and waits for its turn at busy tables.
MAINTENANCE = ActivityConfig(start_to_close_timeout=timedelta(minutes=10), retry_policy=_FOR_EVER)

# A token range at its pace may be hours of work; a worker that died is noticed within half a minute, since folding a
# large week keeps the heartbeat waiting for a second or two.
COMPACTION = ActivityConfig(
    start_to_close_timeout=timedelta(hours=12), heartbeat_timeout=timedelta(seconds=30), retry_policy=_FOR_EVER
)

# Goes over whole tables, or over a token range. One that is cancelled is waited for, so that what ends a rebuild
# comes after all else.
REBUILD = ActivityConfig(
    start_to_close_timeout=timedelta(hours=12),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=_FOR_EVER,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# Removes folders of files, which may be many and far away.
TIDY = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=30), heartbeat_timeout=timedelta(seconds=12), retry_policy=_FOR_EVER
)

# A step works for minutes in a process of its own, so its worker beats whatever the step computes: one that died, or
# a training that was cancelled, is noticed within 12 s. A step goes on from the files that it left.
TRAINING = ActivityConfig(
    start_to_close_timeout=timedelta(hours=6),
    heartbeat_timeout=timedelta(seconds=12),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1)),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# A range may be many thousand answers at the pace of the recommender, which may be gone for a while.
PRECOMPUTE = ActivityConfig(
    start_to_close_timeout=timedelta(hours=12), heartbeat_timeout=timedelta(seconds=30), retry_policy=_FOR_EVER
)

# Searches the whole log and goes over all of an account; waits for a rebuild that reads the blocks.
ERASURE = ActivityConfig(
    start_to_close_timeout=timedelta(hours=1), heartbeat_timeout=timedelta(seconds=30), retry_policy=_FOR_EVER
)
