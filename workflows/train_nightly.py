"""What the schedule starts: a training under the one name that trainings have."""

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.training import TRAIN_MODEL, TRAIN_NIGHTLY, WORKFLOW_ID, TrainInput, TrainProgress


@workflow.defn(name=TRAIN_NIGHTLY)
class TrainNightly:
    """A schedule adds the time to the names of what it starts, so that two trainings could be on side by side."""

    @workflow.run
    async def run(self, request: TrainInput) -> TrainProgress | None:
        """None where another training is on: it is as good as this one."""
        try:
            training = await workflow.start_child_workflow(
                TRAIN_MODEL,
                request,
                id=WORKFLOW_ID,
                result_type=TrainProgress,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            )
        except WorkflowAlreadyStartedError:
            workflow.set_current_details("another training is on already")
            return None
        done: TrainProgress = await training
        return done
