"""Why a workflow failed."""

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError


def cause_of(error: WorkflowFailureError) -> BaseException | None:
    """What made it fail: where an activity did, what made that one fail."""
    cause = error.cause
    return cause.cause if isinstance(cause, ActivityError) else cause
