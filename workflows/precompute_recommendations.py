"""Makes recommendations ahead for the accounts that are about, one token range after the other."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.precompute import (
        PLAN_PRECOMPUTE,
        PRECOMPUTE_RANGE,
        PRECOMPUTE_RECOMMENDATIONS,
        PROGRESS,
        PrecomputeInput,
        PrecomputePlan,
        PrecomputeProgress,
        PrecomputeRange,
        PrecomputeResult,
    )
    from workflows import policies


@workflow.defn(name=PRECOMPUTE_RECOMMENDATIONS)
class PrecomputeRecommendations:
    """A range that is interrupted goes on behind the page that was done last."""

    @workflow.init
    def __init__(self, request: PrecomputeInput) -> None:
        self._request = request
        self._done = PrecomputeResult()
        self._left = 0

    @workflow.run
    async def run(self, request: PrecomputeInput) -> PrecomputeResult:
        plan: PrecomputePlan = await workflow.execute_activity(
            PLAN_PRECOMPUTE, request, result_type=PrecomputePlan, **policies.SHORT
        )
        for place, (start, end) in enumerate(plan.ranges):
            self._left = len(plan.ranges) - place
            self._tell()
            work = PrecomputeRange(start, end, plan.first_week, plan.last_week, request.accounts_a_second)
            done: PrecomputeResult = await workflow.execute_activity(
                PRECOMPUTE_RANGE, work, result_type=PrecomputeResult, **policies.PRECOMPUTE
            )
            self._done = self._done.plus(done)
        self._left = 0
        self._tell()
        return self._done

    @workflow.query(name=PROGRESS, description="How many accounts have their answer, and how many ranges are left.")
    def progress(self) -> PrecomputeProgress:
        return PrecomputeProgress(self._done, self._left)

    def _tell(self) -> None:
        done = self._done
        workflow.set_current_details(
            f"**{done.accounts}** accounts have their answer, {done.left_out} none\n\n"
            f"{done.ranges} ranges done, {self._left} left"
        )
