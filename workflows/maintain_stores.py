"""The scheduled housekeeping of the stores."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.batch import MAINTAIN, MAINTAIN_STORES
    from workflows import policies


@workflow.defn(name=MAINTAIN_STORES)
class MaintainStores:
    """Makes the partitions of the days to come and drops those that are out of keep."""

    @workflow.run
    async def run(self) -> list[str]:
        dropped: list[str] = await workflow.execute_activity(MAINTAIN, result_type=list[str], **policies.MAINTENANCE)
        return dropped
