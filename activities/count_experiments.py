"""The fan-out into experiments: marks, accounts and the sums of arms are one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from activities.fan_out import Resources
from domain.experiment import Arm, Experiment
from domain.interaction import Interaction
from domain.outcomes import Exposure, Outcome, Tally, count, in_currency, touches_of
from domain.week import date_of, day_of, to_us
from intake.log import IntakeRow
from recommend.experiments import arm_of
from store.experiments import ArmDay, ExperimentStore, InExperiment
from store.postgres import Connection, transaction, undone_transaction


class CountExperiments:
    name: ClassVar[str] = "experiments"

    def __init__(self, resources: Resources) -> None:
        self._pool = resources.pool
        self._log = resources.log
        self._store = ExperimentStore(resources.pool)

    async def apply(self, rows: Sequence[IntakeRow]) -> set[UUID]:
        """The experiments are read after the rows: whatever of them counts in one occurred before that, so no lock
        is needed. Where none is on, that is all there is to do.
        """
        experiments = await self._store.counted()
        if not experiments:
            return await self._log.mark_alone(self.name, rows)
        async with transaction(self._pool) as connection:
            fresh = await self._log.mark(connection, self.name, rows)
            interactions = [one for row in rows if row.intake_id in fresh for one in row.interactions]
            await self._count(connection, experiments, interactions)
        return fresh

    async def probe(self, interactions: Sequence[Interaction]) -> None:
        experiments = await self._store.counted()
        async with undone_transaction(self._pool) as connection:
            await self._count(connection, experiments, interactions)

    async def _count(
        self, connection: Connection, experiments: Sequence[Experiment], interactions: Sequence[Interaction]
    ) -> None:
        touched = _touched(experiments, interactions)
        days = touched.notes
        if touched.accounts:
            accounts = await self._store.locked_accounts(connection, list(touched.accounts))
            for key, account in accounts.items():
                for day, tally in count(account, *touched.accounts[key]).items():
                    days.setdefault(ArmDay(key.experiment, day, key.arm), Tally()).add(tally)
            await self._store.write_accounts(connection, accounts)
        if days:
            await self._store.add_days(connection, days)


@dataclass(slots=True)
class _Touched:
    """What of some interactions concerns experiments."""

    accounts: dict[InExperiment, tuple[list[int], list[Outcome]]]
    """When it got answers, and what it did."""
    notes: dict[ArmDay, Tally]
    """What is noted of answers, whatever becomes of their accounts."""


def _touched(experiments: Sequence[Experiment], interactions: Sequence[Interaction]) -> _Touched:
    exposures, outcomes = touches_of(interactions)
    touched = _Touched({}, {})
    for experiment in experiments:
        for account_id in exposures.keys() | outcomes.keys():
            arm = arm_of(experiment, account_id)
            answers = _answers(experiment, arm, exposures.get(account_id, ()), touched.notes)
            if arm is None:
                continue
            done = [
                in_currency(one, experiment.plan.currency)
                for one in outcomes.get(account_id, ())
                if _is_on(experiment, one.occurred_at)
            ]
            if answers or done:
                touched.accounts[InExperiment(account_id, experiment.name, arm.name)] = answers, done
    return touched


def _answers(
    experiment: Experiment, arm: Arm | None, exposures: Iterable[Exposure], notes: dict[ArmDay, Tally]
) -> list[int]:
    """When the account got answers by its arm. Fallbacks among them are noted, and answers that name another arm:
    nothing of ours gives them.
    """
    answers = []
    for one in exposures:
        named = one.arms.get(experiment.name)
        if named is None or not _is_on(experiment, one.occurred_at):
            continue
        day = date_of(day_of(one.occurred_at))
        if arm is not None and named == arm.name:
            answers.append(one.occurred_at)
            if not one.is_by(arm.model):
                notes.setdefault(ArmDay(experiment.name, day, named), Tally()).fallbacks += 1
            continue
        first, *others = (known.name for known in experiment.plan.arms)
        place = ArmDay(experiment.name, day, named if named in others else first)
        notes.setdefault(place, Tally()).misassigned += 1
    return answers


def _is_on(experiment: Experiment, moment_us: int) -> bool:
    started, stopped = experiment.started_at, experiment.stopped_at
    if started is None or moment_us < to_us(started):
        return False
    return stopped is None or moment_us < to_us(stopped)
