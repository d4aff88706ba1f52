"""What a process knows of experiments, and that an answer by them is recorded as an interaction."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec
import pytest

from api.assignments import Assignments, Exposures
from api.metrics import EXPOSURES_LOST
from domain.errors import InvalidInputError, TransientError
from domain.experiment import Arm, Assignment, Plan, header_value, model_of, rules_of
from domain.ids import new_id
from domain.outcomes import Exposure, touches_of
from intake.backlog import Backlog
from intake.commit import GroupCommit
from intake.dispatch import Dispatcher
from intake.entrance import Entrance
from intake.late import LateEvents
from intake.ledger import LedgerDays, now_us
from intake.log import IntakeLog, NewInteraction
from store.blocks.postgres import PostgresBlockStore
from store.experiments import ExperimentStore
from store.postgres import Pool
from tests.conftest import eventually
from tests.experimenting import CONTROL, NEW, PLAN, RANKED, accounts_of


async def test_an_account_gets_its_arm_of_what_runs(pool: Pool) -> None:
    store = ExperimentStore(pool)
    assignments = Assignments(store)
    in_control, in_new = next(accounts_of("control")), next(accounts_of("new"))
    await store.create(PLAN)
    await assignments.refresh()
    assert assignments.assign(in_new) == []
    await store.start(PLAN.name, 100)
    assert assignments.assign(in_new) == []
    await assignments.refresh()
    assert assignments.assign(in_control) == [CONTROL]
    assert assignments.assign(in_new) == [NEW]
    assert header_value(assignments.assign(in_new)) == "fresher:new"
    assert model_of(assignments.assign(in_new)) == "v2"
    assert model_of(assignments.assign(in_control)) is None
    await store.stop(PLAN.name)
    await assignments.refresh()
    assert assignments.assign(in_new) == []


async def test_a_header_changes_the_arms_that_it_names_and_no_others(pool: Pool) -> None:
    store = ExperimentStore(pool)
    assignments = Assignments(store)
    wider = Plan("wider", [Arm("control", 50), Arm("new", 50, rules={"diversity": 0.5, "exploration": 0.1})])
    for plan in (PLAN, wider):
        await store.create(plan)
        await store.start(plan.name, 100)
    await assignments.refresh()
    account = next(one for one in accounts_of("new", experiment="wider") if assignments.assign(one)[0] == CONTROL)
    own = assignments.assign(account)
    assert rules_of(own) == {"diversity": 0.5, "exploration": 0.1}
    assert assignments.force(own, "fresher:new") == [NEW, own[1]]
    assert assignments.force(own, "wider:control,fresher:new") == [NEW, Assignment("wider", wider.arms[0])]
    assert assignments.force(own, header_value(own)) == own
    assert assignments.force([], "wider:new") == [own[1]]
    for header, why in (
        ("fresher", "not of the form"),
        ("", "not of the form"),
        ("fresher:new, fresher:control", "not of the form"),
        ("fresher:newest", "'fresher' has no arm 'newest'"),
        ("fresher:", "'fresher' has no arm ''"),
        ("fresher:new, unheard-of:new", "no experiment unheard-of is running"),
    ):
        with pytest.raises(InvalidInputError, match=why):
            assignments.force(own, header)


async def test_what_is_known_goes_on_while_the_store_does_not_answer(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ExperimentStore(pool)
    await store.create(PLAN)
    await store.start(PLAN.name, 100)
    monkeypatch.setattr("api.assignments.REFRESH_S", 0.01)
    assignments = Assignments(store)
    account = next(accounts_of("new"))
    fresh = asyncio.create_task(assignments.keep_fresh())

    async def has(count: int) -> None:
        assert len(assignments.assign(account)) == count

    await eventually(lambda: has(1))
    await pool.execute("ALTER TABLE experiment RENAME TO hidden")
    asked = 0

    async def running() -> list[object]:
        nonlocal asked
        asked += 1
        return await ExperimentStore.running(store)  # type: ignore[return-value]

    monkeypatch.setattr(store, "running", running)

    async def asked_in_vain() -> None:
        assert asked > 3

    await eventually(asked_in_vain)
    assert assignments.assign(account) == [NEW]
    await pool.execute("UPDATE hidden SET stopped_at = now()")
    await pool.execute("ALTER TABLE hidden RENAME TO experiment")
    await eventually(lambda: has(0))
    fresh.cancel()


class Held(IntakeLog):
    """The real log, whose appends may wait or fail."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.let_go = asyncio.Event()
        self.down = False

    async def append(self, batch_id: UUID, events: Sequence[NewInteraction]) -> set[bytes]:
        await self.let_go.wait()
        if self.down:
            raise TransientError("connection refused")
        return await super().append(batch_id, events)


class Recording:
    def __init__(self, pool: Pool) -> None:
        self.log = Held(pool)
        self.batches: list[UUID] = []
        self.dispatcher = Dispatcher(self._start, max_events=1_000, max_age_s=0.01, pace_s=0, give_up_s=1)
        late = LateEvents(pool, PostgresBlockStore(pool), 7)
        commit = GroupCommit(self.log, self.dispatcher, late, max_events=1_000)
        self.backlog = Backlog(self.log, limit_events=1_000)
        self.exposures = Exposures(Entrance(commit, self.backlog), LedgerDays(7))

    async def _start(self, batch_id: UUID, _events: int) -> None:
        self.batches.append(batch_id)


@pytest.fixture
async def recording(pool: Pool) -> AsyncIterator[Recording]:
    one = Recording(pool)
    yield one
    one.log.let_go.set()
    await one.exposures.drain()
    await one.dispatcher.drain()


def _lost() -> float:
    return EXPOSURES_LOST._value.get()  # type: ignore[no-any-return]


async def test_an_answer_does_not_wait_and_is_recorded(recording: Recording) -> None:
    """The log is held up, and `record` has long returned."""
    before = now_us()
    recording.exposures.record("alice", "r1", "homepage", [NEW], RANKED)
    recording.exposures.record("bob", "r2", "similar", [], RANKED)
    recording.log.let_go.set()
    await recording.exposures.drain()
    await recording.dispatcher.drain()
    (row,) = [row for batch in recording.batches for row in await recording.log.read(batch)]
    (one,) = row.interactions
    assert (one.account_id, one.event_type, one.ref_type, one.ref_id) == (
        "alice", "recommendation_exposure", "Category", "homepage",
    )  # fmt: skip
    assert msgspec.json.decode(one.metadata or "") == {
        "recommendation_id": "r1", "experiments": {"fresher": "new"}, "rung": "ranked", "model_version": "v2",
    }  # fmt: skip
    assert before <= one.occurred_at <= now_us()
    exposures, _ = touches_of([one])
    assert exposures["alice"] == [Exposure(one.occurred_at, {"fresher": "new"}, "ranked", "v2")]
    assert recording.backlog.events == 1


async def test_what_can_not_be_recorded_is_counted_as_lost(recording: Recording) -> None:
    lost = _lost()
    recording.log.down = True
    recording.log.let_go.set()
    recording.exposures.record("alice", "r1", "homepage", [NEW], RANKED)
    await recording.exposures.drain()
    assert _lost() == lost + 1


async def test_a_full_intake_gets_no_more(recording: Recording) -> None:
    lost = _lost()
    recording.backlog.added(999)
    recording.log.let_go.set()
    recording.exposures.record("alice", "r1", "homepage", [NEW], RANKED)
    await recording.exposures.drain()
    recording.exposures.record("alice", "r2", "homepage", [NEW], RANKED)
    await recording.exposures.drain()
    assert (recording.backlog.events, _lost()) == (1_000, lost + 1)


async def test_more_than_can_be_recorded_are_not_heaped_up(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = _lost()
    monkeypatch.setattr("api.assignments._MOST_UNDER_WAY", 3)
    for number in range(5):
        recording.exposures.record(f"a{number}", str(new_id()), "homepage", [NEW], RANKED)
    assert _lost() == lost + 2
    recording.log.let_go.set()
    await recording.exposures.drain()
    assert recording.backlog.events == 3
