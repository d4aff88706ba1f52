"""Answers made ahead for the accounts of real blocks, by a recommender that does as a test says."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import precompute as module
from activities.persist import delta_blocks
from activities.precompute import Precompute
from domain.errors import TransientError
from domain.precompute import PrecomputeInput, PrecomputePlan, PrecomputeRange, PrecomputeResult, RangeNote
from domain.recommendations import Answer, Ask, Recommended, Rung
from domain.week import week_of
from intake.log import IntakeRow
from store.blocks.postgres import _EVERY_ACCOUNT, PostgresBlockStore
from store.models import ModelRegistry
from store.postgres import Pool
from store.precomputed import PrecomputedStore
from tests.factories import interaction, now_us

_ACCOUNTS = [f"account-{number:03}" for number in range(120)]
_WEEK_US = 7 * 86_400_000_000


class Recommender:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.fails: Callable[[str], bool] = lambda _account: False

    async def recommend(self, ask: Ask) -> Answer:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.asked.append(ask.account_id)
        if self.fails(ask.account_id):
            raise TransientError("the recommender does not answer")
        rung: Rung = "defaults" if ask.account_id == "account-001" else "ranked"
        return Answer(rung, [Recommended(f"for {ask.account_id}", 0.5, "next")], "m1", None, 5_000_000)


@pytest.fixture
def recommender() -> Recommender:
    return Recommender()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the activity pauses; it does not."""
    found: list[float] = []

    async def pause(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(module, "pause", pause)
    return found


@pytest.fixture
async def precompute(pool: Pool, recommender: Recommender, pauses: list[float]) -> Precompute:
    """Over accounts that are about, and one that was so last month."""
    events = [interaction(account_id=account) for account in _ACCOUNTS]
    events.append(interaction(account_id="long-gone", occurred_at=now_us() - 5 * _WEEK_US))
    blocks = PostgresBlockStore(pool)
    await blocks.write(list(delta_blocks(IntakeRow(uuid4(), datetime.now(UTC), events))))
    return Precompute(
        blocks, recommender.recommend, PrecomputedStore(pool), ModelRegistry(pool), accounts_a_second=1_000
    )


async def _plan(precompute: Precompute) -> PrecomputePlan:
    return await ActivityEnvironment().run(precompute.plan, PrecomputeInput())


async def _with_model(pool: Pool) -> None:
    await ModelRegistry(pool).register("m1", "/models/m1", "abc", {})
    await ModelRegistry(pool).activate("m1")


def _work() -> PrecomputeRange:
    this_week = week_of(now_us())
    return PrecomputeRange(*_EVERY_ACCOUNT, this_week - 1, this_week)


async def test_who_is_about_has_an_answer_with_its_moments(precompute: Precompute, pool: Pool) -> None:
    done = await ActivityEnvironment().run(precompute.precompute, _work())
    assert done == PrecomputeResult(1, len(_ACCOUNTS) - 1, 1)
    store = PrecomputedStore(pool)
    answer = await store.read("account-007")
    assert answer is not None
    assert (answer.rung, [one.item_id for one in answer.items]) == ("precomputed", ["for account-007"])
    assert (answer.last_action_at_us, answer.model_version) == (5_000_000, "m1")
    assert answer.computed_at_us is not None
    assert await store.read("long-gone") is None
    assert await store.read("account-001") is None  # its answer says nothing of it


async def test_it_is_asked_for_two_at_a_time_and_no_faster_than_the_pace(
    precompute: Precompute, recommender: Recommender, pauses: list[float]
) -> None:
    await ActivityEnvironment().run(precompute.precompute, replace(_work(), accounts_a_second=1))
    assert recommender.most_at_once == 2
    assert [round(one, -1) for one in pauses] == [50, 50, 20]


async def test_who_is_interrupted_goes_on_behind_what_was_noted(
    precompute: Precompute, recommender: Recommender
) -> None:
    recommender.fails = lambda account: account >= "account-100"
    first = ActivityEnvironment()
    noted: list[RangeNote] = []
    first.on_heartbeat = lambda *details: noted.extend(details)
    with pytest.raises(ApplicationError, match="does not answer") as raised:
        await first.run(precompute.precompute, _work())
    assert (raised.value.type, raised.value.non_retryable) == ("TransientError", False)
    recommender.fails = lambda _account: False
    recommender.asked.clear()
    second = ActivityEnvironment()
    as_temporal_has_it = {"after_account": noted[-1].after_account, "done": asdict(noted[-1].done)}
    second.info = replace(second.info, heartbeat_details=[as_temporal_has_it])
    done = await second.run(precompute.precompute, _work())
    assert sorted(recommender.asked) == _ACCOUNTS[100:]
    assert done == PrecomputeResult(1, len(_ACCOUNTS) - 1, 1)


async def test_an_account_without_an_answer_does_not_keep_the_others_from_theirs(
    precompute: Precompute, recommender: Recommender
) -> None:
    recommender.fails = lambda account: account == "account-050"
    done = await ActivityEnvironment().run(precompute.precompute, _work())
    assert done == PrecomputeResult(1, len(_ACCOUNTS) - 2, 2)


async def test_nor_does_the_last_one_alone_keep_the_night_from_its_end(
    precompute: Precompute, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt would end there."""
    monkeypatch.setattr(module, "_A_GO", len(_ACCOUNTS) - 1)
    recommender.fails = lambda account: account == _ACCOUNTS[-1]
    done = await ActivityEnvironment().run(precompute.precompute, _work())
    assert done == PrecomputeResult(1, len(_ACCOUNTS) - 2, 2)


async def test_the_plan_drops_what_is_out_of_date(precompute: Precompute, pool: Pool) -> None:
    await _with_model(pool)
    await ActivityEnvironment().run(precompute.precompute, _work())
    await pool.execute(
        "UPDATE precomputed_recommendation SET expires_at = now() - interval '1s' WHERE account_id < 'account-100'"
    )
    plan = await _plan(precompute)
    assert len(plan.ranges) == 1
    assert await pool.fetchval("SELECT count(*) FROM precomputed_recommendation") == 20


async def test_without_a_model_there_is_nothing_to_do(precompute: Precompute) -> None:
    assert (await _plan(precompute)).ranges == []
