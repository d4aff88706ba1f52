"""The workflow that carries one batch of accepted interactions to every read model."""

import asyncio
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from domain.batch import (
        DISCARD,
        PARK,
        RECORD_INTERACTIONS,
        RELEASE,
        BatchInput,
        DiscardInput,
        DiscardRequest,
        FanOutInput,
        FanOutResult,
        ParkInput,
        ReleaseInput,
        ReleaseResult,
    )
    from workflows import policies

_T = TypeVar("_T")

EVENTS = SearchAttributeKey.for_int("FootfallEvents")
ACCOUNTS = SearchAttributeKey.for_int("FootfallAccounts")
FIRST_EVENT = SearchAttributeKey.for_datetime("FootfallFirstEvent")
LAST_EVENT = SearchAttributeKey.for_datetime("FootfallLastEvent")
ACCOUNT_KEYS = SearchAttributeKey.for_keyword_list("FootfallAccountKeys")
PARKED = SearchAttributeKey.for_keyword_list("FanOutsParked")

SEARCH_ATTRIBUTES = (EVENTS, ACCOUNTS, FIRST_EVENT, LAST_EVENT, ACCOUNT_KEYS, PARKED)


@workflow.defn(name=RECORD_INTERACTIONS)
class RecordInteractions:
    """Carries a batch out of the intake log.

    1. All fan-outs of the batch run side by side, each retried on its own for as long as its store is down.
    2. One that meets a permanent fault is parked: it waits for the update `replay`, or `discard`, while the others
       finish.
    3. When all have applied the batch, `release` deletes its rows and marks. Rows that lack a mark stay; the
       sweeper carries them in another batch.

    The first attempt of a step is a local activity: with healthy stores the whole batch is one task of Temporal's,
    and its history a few events. Whatever fails is tried again as an activity, whose attempts the Temporal UI shows.
    """

    @workflow.init
    def __init__(self, batch: BatchInput) -> None:
        self._batch = batch
        self._applied: dict[str, FanOutResult] = {}
        self._parked: dict[str, str] = {}
        self._discarded: dict[str, str] = {}
        self._released: ReleaseResult | None = None

    @workflow.run
    async def run(self, batch: BatchInput) -> ReleaseResult:
        self._tell()
        await asyncio.gather(*(self._fan_out(name) for name in batch.fan_outs))
        self._index()
        release = ReleaseInput(batch.batch_id, batch.fan_outs)
        self._released = await self._execute(RELEASE, release, ReleaseResult, policies.SHORT)
        self._tell()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._released

    @workflow.update(description='Run parked fan-outs again: ["popularity"]; [] or nothing: all of them.')
    def replay(self, fan_outs: list[str] | None = None) -> list[str]:
        """The fan-outs that run again now."""
        chosen = fan_outs or sorted(self._parked)
        for name in chosen:
            self._parked.pop(name)
        return chosen

    @replay.validator
    def _check_replay(self, fan_outs: list[str] | None = None) -> None:
        self._check_parked(fan_outs or [])

    @workflow.update(
        description='Give parked fan-outs up for this batch: {"reason": "…", "fan_outs": []}, empty: all.'
    )
    def discard(self, request: DiscardRequest) -> list[str]:
        """The fan-outs that this batch now does without."""
        chosen = request.fan_outs or sorted(self._parked)
        for name in chosen:
            self._discarded[name] = request.reason
            self._parked.pop(name)
        return chosen

    @discard.validator
    def _check_discard(self, request: DiscardRequest) -> None:
        if not request.reason.strip():
            raise ApplicationError("a reason is needed", type="InvalidInputError")
        self._check_parked(request.fan_outs)

    def _check_parked(self, fan_outs: list[str]) -> None:
        if not self._parked:
            raise ApplicationError("no fan-out of this batch is parked", type="ConflictError")
        not_parked = [name for name in fan_outs if name not in self._parked]
        if not_parked:
            raise ApplicationError(f"not parked: {', '.join(not_parked)}", type="ConflictError")

    async def _fan_out(self, name: str) -> None:
        while True:
            try:
                self._applied[name] = await self._execute(
                    name, FanOutInput(self._batch.batch_id), FanOutResult, policies.FAN_OUT
                )
            except ActivityError as error:
                if not isinstance(error.cause, ApplicationError):
                    raise  # cancelled or terminated: the sweeper takes the batch up
                await self._wait_parked(name, f"{error.cause.type}: {error.cause.message}")
                if name in self._discarded:
                    return
            else:
                self._tell()
                return

    async def _execute(self, name: str, argument: object, result_type: type[_T], policy: ActivityConfig) -> _T:
        """A step of the batch: first inside this workflow's task; if that fails, whatever it is, as an activity."""
        if self._batch.local_first:
            try:
                first: _T = await workflow.execute_local_activity(
                    name, argument, result_type=result_type, **policies.FIRST_ATTEMPT
                )
            except (ActivityError, ApplicationError) as error:
                if is_cancelled_exception(error):
                    raise
            else:
                return first
        result: _T = await workflow.execute_activity(name, argument, result_type=result_type, **policy)
        return result

    async def _wait_parked(self, name: str, reason: str) -> None:
        self._parked[name] = reason
        self._tell()
        self._index()
        await self._note_parked(name, reason)
        await workflow.wait_condition(lambda: name not in self._parked)
        self._tell()
        self._index()
        if name in self._discarded:
            discarded = DiscardInput(self._batch.batch_id, name, self._discarded[name])
            await workflow.execute_activity(DISCARD, discarded, **policies.SHORT)
        else:
            await self._note_parked(name, "")

    async def _note_parked(self, name: str, reason: str) -> None:
        await workflow.execute_activity(PARK, ParkInput(self._batch.batch_id, name, reason), **policies.SHORT)

    def _seen(self) -> FanOutResult | None:
        """Every fan-out reads the same batch: what one of them saw, all saw."""
        return next(iter(self._applied.values()), None)

    def _tell(self) -> None:
        """Says in words what a person in the Temporal UI wants to know; costs no event of the history."""
        workflow.set_current_details(self._details())

    def _index(self) -> None:
        """Makes the batch findable by what is in it; one event of the history, so only at turning points."""
        seen = self._seen()
        updates: list[SearchAttributeUpdate[Any]] = [PARKED.value_set(sorted(self._parked))]
        if seen is not None:
            updates += [
                EVENTS.value_set(seen.events),
                ACCOUNTS.value_set(seen.accounts),
                ACCOUNT_KEYS.value_set(seen.account_keys),
            ]
            if seen.first_occurred_at is not None and seen.last_occurred_at is not None:
                updates += [
                    FIRST_EVENT.value_set(seen.first_occurred_at),
                    LAST_EVENT.value_set(seen.last_occurred_at),
                ]
        workflow.upsert_search_attributes(updates)

    def _done(self, name: str) -> str:
        applied = self._applied[name]
        aside = f", **{applied.quarantined}** interactions are in quarantine" if applied.quarantined else ""
        return f"{applied.applied_rows} intake rows{aside}"

    def _details(self) -> str:
        lines = []
        seen = self._seen()
        if seen is not None and seen.first_occurred_at is not None and seen.last_occurred_at is not None:
            first, last = (
                seen.first_occurred_at.isoformat(" ", "seconds"),
                seen.last_occurred_at.isoformat(" ", "seconds"),
            )
            lines += [f"**{seen.events}** interactions of **{seen.accounts}** accounts, {first} to {last}", ""]
        for name in self._batch.fan_outs:
            if name in self._parked:
                lines.append(
                    f"- {name}: **parked**, waits for the update `replay` or `discard`. {self._parked[name]}"
                )
            elif name in self._discarded:
                lines.append(f"- {name}: **discarded**. {self._discarded[name]}")
            elif name in self._applied:
                lines.append(f"- {name}: done, {self._done(name)}")
            else:
                lines.append(f"- {name}: under way")
        if self._released is not None:
            lines.append(f"- released {self._released.released_rows} intake rows")
            if self._released.remaining_rows:
                lines.append(f"- {self._released.remaining_rows} rows are left to the sweeper")
        return "\n".join(lines)
