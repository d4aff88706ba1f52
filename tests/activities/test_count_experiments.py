"""The fan-out into experiments: each thing once, by first answers, whatever comes first and whatever runs at once."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from activities.count_experiments import CountExperiments
from activities.fan_out import Resources
from domain.errors import PermanentError, TransientError
from domain.event_types import load_event_weights
from domain.experiment import Arm, Assignment, Plan
from domain.ids import new_id
from domain.interaction import Interaction
from domain.outcomes import MILLIONTHS, Tally
from domain.recommendations import Answer
from domain.week import date_of, day_of, to_us
from intake.log import IntakeLog, IntakeRow, NewInteraction
from store.blocks.postgres import PostgresBlockStore
from store.experiments import ArmDay, ExperimentStore, sums_by_arm
from store.postgres import Connection, Pool
from store.signals_postgres import PostgresSignalStore
from tests.conftest import eventually
from tests.experimenting import CONTROL, NEW, PLAN, RANKED, accounts_of, answered, bought, clicked
from tests.factories import interaction, now_us

IN_CONTROL, IN_NEW = next(accounts_of("control")), next(accounts_of("new"))
MINUTE = 60_000_000


@pytest.fixture
def resources(pool: Pool) -> Resources:
    return Resources(pool, IntakeLog(pool), PostgresBlockStore(pool), PostgresSignalStore(pool), load_event_weights())


@pytest.fixture
def store(pool: Pool) -> ExperimentStore:
    return ExperimentStore(pool)


@pytest.fixture
async def running(store: ExperimentStore, pool: Pool) -> ExperimentStore:
    """PLAN is on for all accounts, since five days ago."""
    await store.create(PLAN)
    await store.start(PLAN.name, 100)
    await pool.execute("UPDATE experiment SET started_at = started_at - interval '5 days'")
    return store


async def _rows(log: IntakeLog, *portions: Sequence[Interaction]) -> list[IntakeRow]:
    """Each portion is an intake row of one batch."""
    batch = new_id()
    for portion in portions:
        await log.append(batch, [NewInteraction(one, date_of(day_of(one.occurred_at))) for one in portion])
    return await log.read(batch)


async def _apply(resources: Resources, *interactions: Interaction) -> None:
    await CountExperiments(resources).apply(await _rows(resources.log, interactions))


async def _sums(store: ExperimentStore, pool: Pool, name: str = PLAN.name) -> dict[str, dict[str, Any]]:
    """The arms' sums without what is 0; they must be the sums of the accounts."""
    sums = {arm: asdict(tally) for arm, tally in sums_by_arm(await store.days(name)).items()}
    accounts = await pool.fetch(_OF_ACCOUNTS, name)
    assert {row["arm"]: dict(row) for row in accounts} == {
        arm: {"arm": arm, **{column: counts[column] for column in _SUMMED}}
        for arm, counts in sums.items()
        if counts["accounts"]
    }
    return {arm: {key: value for key, value in counts.items() if value} for arm, counts in sums.items()}


_SUMMED = (
    "accounts", "answers", "clicks", "purchases", "converted", "revenue", "answers_squared", "clicks_squared",
    "answers_clicks", "revenue_squared",
)  # fmt: skip
_OF_ACCOUNTS = """
    SELECT arm, count(*) AS accounts, sum(answers) AS answers, sum(clicks) AS clicks, sum(purchases) AS purchases,
           count(*) FILTER (WHERE purchases > 0) AS converted, sum(revenue) AS revenue,
           sum(answers * answers) AS answers_squared, sum(clicks * clicks) AS clicks_squared,
           sum(answers * clicks) AS answers_clicks, sum(revenue * revenue) AS revenue_squared
    FROM experiment_account WHERE experiment = $1 AND exposed_at IS NOT NULL GROUP BY arm"""


async def test_a_shop_without_experiments_gets_its_mark_and_nothing_else(
    resources: Resources, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction of several statements either, and no look at what the interactions are."""
    monkeypatch.setattr("activities.count_experiments.transaction", None)
    await _apply(resources, answered(IN_NEW, NEW), bought(IN_NEW))
    assert await pool.fetchval("SELECT count(*) FROM applied WHERE fan_out = 'experiments'") == 1
    for table in ("experiment_account", "experiment_day"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_what_accounts_with_an_answer_do_is_counted_for_their_arm(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    await _apply(
        resources,
        answered(IN_NEW, NEW),
        clicked(IN_NEW),
        interaction(account_id=IN_NEW),
        bought(IN_NEW, "12.50"),
        bought(IN_NEW, "1", currency="USD"),
        bought(IN_NEW, None),
        answered(IN_NEW, NEW),
        answered(IN_CONTROL, CONTROL),
        bought("never seen"),
    )
    assert await _sums(running, pool) == {
        "control": {"accounts": 1, "answers": 1, "answers_squared": 1},
        "new": {
            "accounts": 1, "answers": 2, "clicks": 1, "converted": 1, "purchases": 3, "unpriced": 2,
            "revenue": 25 * MILLIONTHS, "answers_squared": 4, "clicks_squared": 1, "answers_clicks": 2,
            "revenue_squared": (25 * MILLIONTHS) ** 2,
        },
    }  # fmt: skip


async def test_purchases_that_name_an_answer_are_its_own(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    await _apply(resources, bought(IN_NEW, "7", of_answer="r1", occurred_at=now_us() + MINUTE), answered(IN_NEW, NEW))
    await _apply(
        resources,
        bought(IN_NEW, "3", of_answer="r1"),
        bought(IN_NEW, "100"),
        bought(IN_NEW, "1", of_answer="r1", currency="USD"),
        clicked(IN_NEW),
    )
    sums = (await _sums(running, pool))["new"]
    assert (sums["purchases"], sums["revenue"]) == (4, 220 * MILLIONTHS)
    assert (sums["attributed_purchases"], sums["attributed_revenue"]) == (3, 20 * MILLIONTHS)


async def test_answers_that_the_arm_was_not_behind_count_and_are_told(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    of_new = [Answer("ranked", [], "v1"), Answer("popular", []), Answer("precomputed", [], "v2"), RANKED]
    of_control = [Answer("ranked", [], "v1"), Answer("memory", [])]
    await _apply(resources, *(answered(IN_NEW, NEW, answer=one) for one in of_new))
    await _apply(resources, *(answered(IN_CONTROL, CONTROL, answer=one) for one in of_control))
    sums = await _sums(running, pool)
    assert (sums["new"]["answers"], sums["new"]["fallbacks"]) == (4, 3)
    assert (sums["control"]["answers"], sums["control"]["fallbacks"]) == (2, 1)


async def test_what_is_run_again_is_counted_once(running: ExperimentStore, resources: Resources, pool: Pool) -> None:
    first, second = [answered(IN_NEW, NEW), bought(IN_NEW)], [bought(IN_NEW), clicked(IN_NEW)]
    rows = await _rows(resources.log, first, second)
    counting = CountExperiments(resources)
    assert len(await counting.apply(rows[:1])) == 1
    assert len(await counting.apply(rows)) == 1
    assert not await counting.apply(rows)
    sums = (await _sums(running, pool))["new"]
    assert (sums["answers"], sums["purchases"], sums["clicks"]) == (1, 2, 1)


async def test_without_the_commit_there_is_neither_mark_nor_count(
    running: ExperimentStore, resources: Resources, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_days = ExperimentStore.add_days

    async def add_and_fail(store: ExperimentStore, connection: Connection, days: dict[ArmDay, Tally]) -> None:
        await add_days(store, connection, days)
        raise TransientError("lost after the write, before the commit")

    rows = await _rows(resources.log, [answered(IN_NEW, NEW), bought(IN_NEW)])
    with monkeypatch.context() as patch, pytest.raises(TransientError):
        patch.setattr(ExperimentStore, "add_days", add_and_fail)
        await CountExperiments(resources).apply(rows)
    for table in ("applied", "experiment_account", "experiment_day"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    assert len(await CountExperiments(resources).apply(rows)) == 1
    assert (await _sums(running, pool))["new"]["purchases"] == 1


async def test_an_outcome_that_is_applied_before_its_answer_counts_with_it(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    start = now_us() - 60 * MINUTE
    await _apply(resources, bought(IN_NEW, occurred_at=start + 2), bought(IN_NEW, occurred_at=start - 1))
    assert await _sums(running, pool) == {}
    await _apply(resources, answered(IN_NEW, NEW, occurred_at=start))
    assert (await _sums(running, pool))["new"]["purchases"] == 1
    await _apply(resources, answered(IN_NEW, NEW, occurred_at=start - 1))
    sums = (await _sums(running, pool))["new"]
    assert (sums["accounts"], sums["answers"], sums["purchases"]) == (1, 2, 2)


@pytest.mark.parametrize("seen_before", [True, False])
async def test_an_outcome_and_its_answer_that_are_applied_at_the_same_time_see_each_other(
    running: ExperimentStore, resources: Resources, pool: Pool, monkeypatch: pytest.MonkeyPatch, *, seen_before: bool
) -> None:
    """The outcome's transaction has read what it will change; the answer has to wait for its end, be the account's
    row there or just being made.
    """
    if seen_before:
        await _apply(resources, bought(IN_NEW, occurred_at=now_us() - 60 * MINUTE))
    half_way, go_on = asyncio.Event(), asyncio.Event()
    locked_accounts = ExperimentStore.locked_accounts

    async def lock_and_wait(store: ExperimentStore, connection: Connection, keys: Any) -> Any:
        found = await locked_accounts(store, connection, keys)
        if not half_way.is_set():
            half_way.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(ExperimentStore, "locked_accounts", lock_and_wait)
    start = now_us() - MINUTE
    outcome = asyncio.create_task(_apply(resources, bought(IN_NEW, occurred_at=start + 1)))
    await half_way.wait()
    answer = asyncio.create_task(_apply(resources, answered(IN_NEW, NEW, occurred_at=start)))

    async def waits_for_a_lock() -> None:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        assert answer.done() or await pool.fetchval(waiting) == 1

    await eventually(waits_for_a_lock)
    go_on.set()
    await asyncio.gather(outcome, answer)
    assert (await _sums(running, pool))["new"]["purchases"] == 1


async def test_many_at_once_in_any_order_come_to_the_same_sums(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    picker, start = random.Random(40), now_us() - 3 * 24 * 60 * MINUTE
    accounts = [*islice(accounts_of("control"), 6), *islice(accounts_of("new"), 6)]
    interactions = []
    for account in accounts:
        mine = CONTROL if account in set(islice(accounts_of("control"), 6)) else NEW
        moments = [start + picker.randrange(3 * 24 * 60) * MINUTE for _ in range(12)]
        interactions += [answered(account, mine, occurred_at=moment) for moment in moments[:3]]
        interactions += [bought(account, str(picker.randrange(90)), occurred_at=moment) for moment in moments[3:8]]
        interactions += [clicked(account, occurred_at=moment) for moment in moments[8:]]
    picker.shuffle(interactions)
    portions = [interactions[at : at + 12] for at in range(0, len(interactions), 12)]
    await asyncio.gather(*(_apply(resources, *portion) for portion in portions))
    assert await _sums(running, pool) == _plainly(interactions, accounts)


def _plainly(interactions: Sequence[Interaction], accounts: Sequence[str]) -> dict[str, dict[str, int]]:
    """By hindsight, with everything at hand."""
    sums: dict[str, Tally] = {"control": Tally(), "new": Tally()}
    for account in accounts:
        mine = [one for one in interactions if one.account_id == account]
        answers = [one for one in mine if one.event_type == "recommendation_exposure"]
        counted = [one for one in mine if one.occurred_at >= min(one.occurred_at for one in answers)]
        clicks = sum(one.event_type == "view" for one in counted)
        prices = [int((one.metadata or "").split('"')[-2]) for one in counted if one.event_type == "purchase"]
        revenue = 2 * sum(prices) * MILLIONTHS
        arm = "control" if '"control"' in (answers[0].metadata or "") else "new"
        n = len(answers)
        sums[arm].add(
            Tally(
                accounts=1,
                answers=n,
                clicks=clicks,
                converted=bool(prices),
                purchases=len(prices),
                revenue=revenue,
                answers_squared=n**2,
                clicks_squared=clicks**2,
                answers_clicks=n * clicks,
                revenue_squared=revenue**2,
            )
        )
    return {arm: {key: value for key, value in asdict(tally).items() if value} for arm, tally in sums.items()}


async def test_only_the_time_of_the_experiment_counts(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    await pool.execute("UPDATE experiment SET stopped_at = started_at + interval '1 day'")
    (ended,) = await running.counted()
    assert ended.started_at is not None
    start = to_us(ended.started_at)
    end = start + 24 * 60 * MINUTE
    early, late = islice(accounts_of("new", prefix="b"), 2)
    await _apply(resources, answered(early, NEW, occurred_at=start - 1), bought(early, occurred_at=start + 5))
    await _apply(resources, answered(late, NEW, occurred_at=end), bought(late, occurred_at=end + 5))
    assert await _sums(running, pool) == {}
    await _apply(
        resources,
        answered(IN_NEW, NEW, occurred_at=start),
        bought(IN_NEW, occurred_at=end - 1),
        bought(IN_NEW, occurred_at=end),
    )
    assert (await _sums(running, pool))["new"]["purchases"] == 1
    await pool.execute(
        "UPDATE experiment SET started_at = now() - interval '9 d', stopped_at = now() - interval '8 d'"
    )
    await _apply(resources, answered(early, NEW, occurred_at=now_us() - 205 * 60 * MINUTE))
    assert (await _sums(running, pool))["new"]["accounts"] == 1


async def test_an_answer_by_another_arm_than_the_accounts_does_not_count_and_is_noted(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    unknown = Assignment(PLAN.name, Arm("unheard-of", 1))
    await _apply(resources, answered(IN_NEW, CONTROL), answered(IN_CONTROL, NEW), answered(IN_NEW, unknown))
    await _apply(resources, bought(IN_NEW), bought(IN_CONTROL))
    assert await _sums(running, pool) == {"control": {"misassigned": 2}, "new": {"misassigned": 1}}


async def test_who_takes_no_part_yet_does_not_count(store: ExperimentStore, resources: Resources, pool: Pool) -> None:
    await store.create(PLAN)
    await store.start(PLAN.name, 5)
    taking_part = next(accounts_of("new", rollout=5))
    outside = next(one for one in accounts_of("new") if one not in set(islice(accounts_of("new", rollout=5), 50)))
    for account in (taking_part, outside):
        await _apply(resources, answered(account, NEW), bought(account))
    assert (await _sums(store, pool))["new"] | {"revenue": 0, "revenue_squared": 0} == {
        "accounts": 1, "answers": 1, "answers_squared": 1, "converted": 1, "purchases": 1, "misassigned": 1,
        "revenue": 0, "revenue_squared": 0,
    }  # fmt: skip
    assert await pool.fetchval("SELECT count(*) FROM experiment_account") == 1
    await store.roll_out(PLAN.name, 100)
    await _apply(resources, answered(outside, NEW), answered(taking_part, NEW))
    sums = (await _sums(store, pool))["new"]
    assert (sums["accounts"], sums["answers"]) == (2, 3)


async def test_an_answer_may_be_by_several_experiments(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    wider = Plan("wider", [Arm("control", 50), Arm("new", 50, rules={"diversity": 0.5})])
    await running.create(wider)
    await running.start("wider", 100)
    account = next(
        one for one in accounts_of("new") if one in set(islice(accounts_of("new", experiment="wider"), 400))
    )
    await _apply(
        resources, answered(account, NEW, Assignment("wider", wider.arms[1])), bought(account, currency="USD")
    )
    assert (await _sums(running, pool))["new"]["unpriced"] == 1
    assert (await _sums(running, pool, "wider"))["new"]["revenue"] == 20 * MILLIONTHS


async def test_what_no_answer_comes_to_is_forgotten_and_so_are_accounts_of_the_past(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    waiting, fresh, _ = islice(accounts_of("new", prefix="c"), 3)
    await _apply(resources, answered(IN_NEW, NEW), bought(IN_NEW, occurred_at=now_us() - MINUTE))
    await _apply(resources, bought(waiting), bought(fresh))
    await pool.execute(
        "UPDATE experiment_account SET waiting_since = waiting_since - interval '25 h' WHERE account_id <> $1", fresh
    )
    await running.forget()
    kept = "SELECT account_id FROM experiment_account ORDER BY account_id"
    assert {row["account_id"] for row in await pool.fetch(kept)} == {IN_NEW, fresh}
    await running.stop(PLAN.name)
    await running.forget()
    assert len(await pool.fetch(kept)) == 2
    await pool.execute("UPDATE experiment SET stopped_at = now() - $1::interval", timedelta(days=8, minutes=1))
    await running.forget()
    assert await pool.fetch(kept) == []
    assert sums_by_arm(await running.days(PLAN.name))["new"].accounts == 1


async def test_a_probe_leaves_nothing_behind(running: ExperimentStore, resources: Resources, pool: Pool) -> None:
    await CountExperiments(resources).probe([answered(IN_NEW, NEW), bought(IN_NEW)])
    for table in ("applied", "experiment_account", "experiment_day"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_what_a_column_can_not_hold_is_poison_to_the_fan_out(
    running: ExperimentStore, resources: Resources, pool: Pool
) -> None:
    """Counters are 32 bits wide for one account: nobody buys so often, but it must hold back no other."""
    await _apply(resources, answered(IN_NEW, NEW))
    await pool.execute("UPDATE experiment_account SET purchases = 2147483647")
    probe = CountExperiments(resources).probe
    await probe([answered(IN_NEW, NEW)])
    with pytest.raises(PermanentError, match="out of int32 range"):
        await probe([bought(IN_NEW)])
