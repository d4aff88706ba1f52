"""Erases what an account did, from every store."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.erasure import (
        BEGIN_ERASURE,
        ERASE_ACCOUNT,
        ERASE_INTERACTIONS,
        ERASE_TRACES,
        FINISH_ERASURE,
        NOTE_ERASED,
        ErasureBegun,
        ErasureInput,
    )
    from domain.training import TIDY_MODELS, Tidied
    from workflows import policies

# Longer than any front door goes by what it knew before; see STALE_S in intake/erased.py.
_HEARD = timedelta(seconds=3)


@workflow.defn(name=ERASE_ACCOUNT)
class EraseAccount:
    """Erases one account. Its id is not in here, and so in no history: the steps find it in the database.

    1. The moment is fixed. Soon all front doors know it, and let in nothing that occurred before.
    2. Interactions go, from the log, quarantine and blocks, and their share of popularity with them where that was
       asked; then what was made of them. Each step is retried for as long as its store is down.
    3. Whoever was at work when it began, a compaction or a fan-out that was slow, may have written again what he had
       read. Once he must have ended, it is all gone through once more.
    4. Files that models were trained from go. What is left says that there was an erasure, not whose.
    """

    @workflow.run
    async def run(self, request: ErasureInput) -> None:
        begun: ErasureBegun = await workflow.execute_activity(
            BEGIN_ERASURE, request, result_type=ErasureBegun, **policies.ERASURE
        )
        await workflow.sleep(_HEARD)
        await self._erase(request)
        await workflow.execute_activity(NOTE_ERASED, request, **policies.SHORT)
        workflow.set_current_details("erased; once more in a while, after whoever was at work then")
        await workflow.sleep(begun.settle_s)
        await self._erase(request)
        await workflow.execute_activity(TIDY_MODELS, result_type=Tidied, **policies.TIDY)
        await workflow.execute_activity(FINISH_ERASURE, request, **policies.SHORT)

    async def _erase(self, request: ErasureInput) -> None:
        await workflow.execute_activity(ERASE_INTERACTIONS, request, **policies.ERASURE)
        await workflow.execute_activity(ERASE_TRACES, request, **policies.ERASURE)
