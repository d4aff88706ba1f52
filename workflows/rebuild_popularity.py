"""Recounts popularity from the block store, one token range after the other, beside live traffic."""

import asyncio
from datetime import timedelta
from uuid import UUID

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.rebuild import (
        ADD_DIFFERENCE,
        BEGIN_REBUILD,
        END_REBUILD,
        NAMES_READ,
        PROGRESS,
        REBUILD_POPULARITY,
        RECOUNT_RANGE,
        REPAIR_LEDGER,
        SETTLE_REBUILD,
        BeginInput,
        RebuildInput,
        RebuildPlan,
        RebuildProgress,
        RebuildResult,
        RecountInput,
        RecountResult,
        Settled,
    )
    from workflows import policies

# Whoever verifies reads every name from the tables before these are cleared; nothing live waits for that.
_READING = timedelta(hours=1)


@workflow.defn(name=REBUILD_POPULARITY)
class RebuildPopularity:
    """Finds by how much popularity differs from what the blocks say, and adds that.

    1. Begin: the moment that the difference is of. From here on live traffic notes what it applies.
    2. Each token range in turn is recounted. One that fails is retried for as long as its store is down.
    3. Settle: what differs. Where every name is wanted, the client reads them now and says so.
    4. The difference is added, unless it is only wanted for comparison.
    5. End, whatever happened before: live traffic notes nothing any more, another rebuild may begin.

    Before the history grows long, a new run goes on with the ranges that are left.
    """

    @workflow.init
    def __init__(self, request: RebuildInput) -> None:
        self._request = request
        self._stage = "beginning"
        self._done = request.done
        self._left = 0 if request.plan is None else len(request.plan.ranges)
        self._settled: Settled | None = None
        self._names_read = False

    @workflow.run
    async def run(self, request: RebuildInput) -> RebuildResult:
        rebuild_id = UUID(workflow.info().first_execution_run_id)
        try:
            self._tell("beginning")
            plan = request.plan or await self._begin(rebuild_id)
            await self._recount(plan)
            settled, added = await self._finish(plan)
        except (Exception, asyncio.CancelledError):
            await self._end(rebuild_id)
            raise
        await self._end(rebuild_id)
        self._tell("ended")
        return RebuildResult(self._done, settled, added)

    @workflow.signal(name=NAMES_READ)
    def names_read(self) -> None:
        """Whoever asked has read all names of what differs; see `_finish`."""
        self._names_read = True

    @workflow.query(name=PROGRESS, description="How far it is, and what differs once that is known.")
    def progress(self) -> RebuildProgress:
        return RebuildProgress(self._stage, self._done, self._left, self._settled)

    async def _begin(self, rebuild_id: UUID) -> RebuildPlan:
        asked = self._request
        begin = BeginInput(rebuild_id, asked.purpose, asked.from_day, asked.to_day, asked.weights)
        plan: RebuildPlan = await workflow.execute_activity(
            BEGIN_REBUILD, begin, result_type=RebuildPlan, **policies.REBUILD
        )
        return plan

    async def _recount(self, plan: RebuildPlan) -> None:
        for place, (start, end) in enumerate(plan.ranges):
            self._left = len(plan.ranges) - place
            self._tell("recounting")
            if place and workflow.info().is_continue_as_new_suggested():
                rest = RebuildPlan(plan.rebuild_id, plan.first_week, plan.last_week, plan.ranges[place:])
                asked = self._request
                workflow.continue_as_new(
                    RebuildInput(asked.purpose, asked.from_day, asked.to_day, asked.weights, rest, self._done)
                )
            work = RecountInput(plan.rebuild_id, start, end, plan.first_week, plan.last_week)
            done: RecountResult = await workflow.execute_activity(
                RECOUNT_RANGE, work, result_type=RecountResult, **policies.REBUILD
            )
            self._done = self._done.plus(done)
        self._left = 0

    async def _finish(self, plan: RebuildPlan) -> tuple[Settled, bool]:
        """What differs, and whether it was added. Nothing is repaired that was not read, and so named, before."""
        purpose = self._request.purpose
        whole = RebuildPlan(plan.rebuild_id, plan.first_week, plan.last_week, [])
        self._tell("comparing")
        settled: Settled = await workflow.execute_activity(
            SETTLE_REBUILD, whole, result_type=Settled, **policies.REBUILD
        )
        self._settled = settled
        if purpose in {"verify", "repair"} and settled.any:
            self._tell("waiting until what differs is read")
            try:
                await workflow.wait_condition(lambda: self._names_read, timeout=_READING)
            except TimeoutError:
                return settled, False
        if purpose not in {"rebuild", "repair"}:
            return settled, False
        self._tell("adding the difference")
        await workflow.execute_activity(ADD_DIFFERENCE, whole, **policies.REBUILD)
        if purpose == "repair":
            await workflow.execute_activity(REPAIR_LEDGER, whole, **policies.REBUILD)
        return settled, True

    async def _end(self, rebuild_id: UUID) -> None:
        await workflow.execute_activity(END_REBUILD, rebuild_id, **policies.REBUILD)

    def _tell(self, stage: str) -> None:
        """Says in words what a person in the Temporal UI wants to know; costs no event of the history."""
        self._stage = stage
        done = self._done
        lines = [
            f"**{stage}**",
            f"{done.ranges} ranges done, {self._left} left",
            f"{done.events} interactions of {done.accounts} accounts found in blocks, {done.counted} counted",
        ]
        if self._settled is not None:
            found = self._settled
            lines.append(f"**{found.products}** products and {found.product_days} of their days differ")
            if found.in_no_block or found.unknown_to_ledger:
                lines.append(
                    f"{found.in_no_block} ids are in no block, {found.unknown_to_ledger} unknown to the ledger"
                )
        workflow.set_current_details("\n\n".join(lines))
