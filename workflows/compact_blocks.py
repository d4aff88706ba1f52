"""Folds delta blocks into sealed ones, one token range after the other."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.compaction import (
        COMPACT_BLOCKS,
        COMPACT_RANGE,
        PLAN_COMPACTION,
        PROGRESS,
        CompactionInput,
        CompactionPlan,
        CompactionProgress,
        CompactionResult,
        RangeInput,
    )
    from workflows import policies


@workflow.defn(name=COMPACT_BLOCKS)
class CompactBlocks:
    """Compacts the blocks of some weeks.

    1. The plan: which token ranges there are, and which weeks.
    2. Each range in turn, paced by the activity. One that fails is retried for as long as its store is down; what it
       had folded by then is not due any more.
    3. Before the history grows long, a new run goes on with the ranges that are left.
    """

    @workflow.init
    def __init__(self, request: CompactionInput) -> None:
        self._done = request.done
        self._left = 0 if request.plan is None else len(request.plan.ranges)

    @workflow.run
    async def run(self, request: CompactionInput) -> CompactionResult:
        plan = request.plan or await workflow.execute_activity(
            PLAN_COMPACTION, request.weeks_back, result_type=CompactionPlan, **policies.SHORT
        )
        for place, (start, end) in enumerate(plan.ranges):
            self._left = len(plan.ranges) - place
            self._tell()
            if place and workflow.info().is_continue_as_new_suggested():
                rest = CompactionPlan(plan.first_week, plan.this_week, plan.ranges[place:])
                workflow.continue_as_new(
                    CompactionInput(request.weeks_back, request.events_a_second, rest, self._done)
                )
            work = RangeInput(start, end, plan.first_week, plan.this_week, request.events_a_second)
            done: CompactionResult = await workflow.execute_activity(
                COMPACT_RANGE, work, result_type=CompactionResult, **policies.COMPACTION
            )
            self._done = self._done.plus(done)
        self._left = 0
        self._tell()
        return self._done

    @workflow.query(name=PROGRESS, description="What was done so far, and how many ranges are left.")
    def progress(self) -> CompactionProgress:
        return CompactionProgress(self._done, self._left)

    def _tell(self) -> None:
        """Says in words what a person in the Temporal UI wants to know; costs no event of the history."""
        done = self._done
        lines = [
            f"**{done.ranges}** ranges done, {self._left} left",
            f"**{done.weeks_folded}** weeks of accounts folded, with {done.events} interactions",
            f"blocks: {done.blocks_before} are now {done.blocks_after}",
            f"bytes: {done.bytes_before} are now {done.bytes_after}",
        ]
        if done.unreadable:
            lines.append(f"**{done.unreadable}** left alone, unreadable: {'; '.join(done.unreadable_named)}")
        workflow.set_current_details("\n\n".join(lines))
