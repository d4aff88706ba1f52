"""Which arms of the running experiments an account is in, known in the process, and that it got an answer by them."""

import asyncio
import logging
from collections.abc import Iterator, Sequence

import msgspec

from api.metrics import EXPOSURES_LOST
from domain.errors import FootfallError, InvalidInputError
from domain.experiment import Assignment, Experiment
from domain.ids import new_id_bytes
from domain.interaction import CATEGORY, Interaction
from domain.outcomes import EXPOSURE
from domain.recommendations import Answer
from intake.entrance import BacklogFullError, Entrance
from intake.ledger import LedgerDays, now_us
from recommend.experiments import assign
from store.experiments import ExperimentStore

_log = logging.getLogger(__name__)

HEADER = "X-Experiment"

REFRESH_S = 2.0
_MOST_UNDER_WAY = 1_000


class Assignments:
    """The running experiments, read every other second: a start, a stop and a rollout are followed so soon.

    While PostgreSQL does not answer, those known last go on: accounts keep their arms.
    """

    def __init__(self, store: ExperimentStore) -> None:
        self._store = store
        self._running: Sequence[Experiment] = ()

    def assign(self, account_id: str) -> list[Assignment]:
        """The account's arms, of the experiment that was started first first. No two change the same."""
        return assign(self._running, account_id) if self._running else []

    def force(self, own: Sequence[Assignment], header: str) -> list[Assignment]:
        """The arms that a request's header names, as an answer's does, and of other experiments the account's own.

        Raises:
            InvalidInputError: there is no such arm of a running experiment, or one is named twice.

        """
        named = dict(_named(header))
        forced = []
        for experiment in self._running:
            name = named.pop(experiment.name, None)
            arms = [arm for arm in experiment.plan.arms if arm.name == name]
            if name is not None and not arms:
                raise InvalidInputError(f"the experiment {experiment.name!r} has no arm {name!r}")
            forced += [Assignment(experiment.name, arm) for arm in arms]
            forced += [one for one in own if one.experiment == experiment.name and name is None]
        if named:
            raise InvalidInputError(f"no experiment {', '.join(named)} is running")
        return forced

    async def refresh(self) -> None:
        self._running = await self._store.running()

    async def keep_fresh(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.refresh()
            except FootfallError as error:
                _log.warning("the running experiments could not be read: %s", error)
            await asyncio.sleep(REFRESH_S)


def _named(header: str) -> Iterator[tuple[str, str]]:
    """Experiment and arm of each part of a header."""
    seen = set()
    for part in header.split(","):
        experiment, separator, arm = part.strip().partition(":")
        if not separator or experiment in seen:
            raise InvalidInputError("not of the form fresher:new, wider:control")
        seen.add(experiment)
        yield experiment, arm


class Exposures:
    """Records, behind the answer, that an account got it: through the group commit, as any interaction.

    An answer does not wait for that. Where it fails, too many are under way, or the intake takes no more, one is lost
    and counted as lost; that happens to all arms alike, and an account counts from its next answer on.
    """

    def __init__(self, entrance: Entrance, days: LedgerDays) -> None:
        self._entrance = entrance
        self._days = days
        self._under_way: set[asyncio.Task[None]] = set()

    def record(
        self, account_id: str, recommendation_id: str, place: str, assignments: Sequence[Assignment], answer: Answer
    ) -> None:
        """`place` is where the answer stands: homepage, similar …; at most 128 characters."""
        if not assignments:
            return
        if len(self._under_way) >= _MOST_UNDER_WAY:
            EXPOSURES_LOST.inc()
            return
        one = exposure(account_id, recommendation_id, place, assignments, now_us(), answer)
        task = asyncio.create_task(self._record(one), name="exposure")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Waits for those under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _record(self, one: Interaction) -> None:
        try:
            await self._entrance.record([self._days.file(one, one.occurred_at)])
        except BacklogFullError:
            EXPOSURES_LOST.inc()
        except FootfallError as error:
            EXPOSURES_LOST.inc()
            _log.warning("that an account got an answer could not be recorded: %s", error)


def exposure(
    account_id: str,
    recommendation_id: str,
    place: str,
    assignments: Sequence[Assignment],
    occurred_at: int,
    answer: Answer,
) -> Interaction:
    """One answer, to an account in these arms, as an interaction; `occurred_at` in microseconds since the epoch."""
    metadata: dict[str, object] = {
        "recommendation_id": recommendation_id,
        "experiments": {one.experiment: one.arm.name for one in assignments},
        "rung": answer.rung,
    }
    if answer.model_version is not None:
        metadata["model_version"] = answer.model_version
    return Interaction(
        new_id_bytes(),
        account_id,
        EXPOSURE,
        CATEGORY,
        place,
        occurred_at,
        metadata=msgspec.json.encode(metadata).decode(),
    )
