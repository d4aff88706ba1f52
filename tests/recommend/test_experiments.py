"""Assignment that never moves anybody, and figures as the sums say them."""

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from domain.experiment import Arm, Experiment, Metric, Plan
from domain.outcomes import MILLIONTHS, Tally
from recommend.experiments import (
    LEAST_ACCOUNTS,
    MISMATCH_ALPHA,
    Comparison,
    Estimate,
    Report,
    arm_of,
    assign,
    numbers_of,
    report,
)
from recommend.sequential import standard_errors

NOW = datetime.now(UTC)
PLAN = Plan("fresher", [Arm("control", 50), Arm("new", 50)])


def _experiment(plan: Plan, rollout: int) -> Experiment:
    return Experiment(plan, rollout, NOW, NOW)


@pytest.mark.parametrize(
    ("experiment", "account_id", "numbers"),
    [("fresher", "alice", (52, 64)), ("fresher", "bob", (20, 81)), ("wider", "Åsa", (10, 5))],
)
def test_numbers_never_change(experiment: str, account_id: str, numbers: tuple[int, int]) -> None:
    r"""As others compute them: printf 'fresher\0alice' | sha256sum, 16 digits and the next 16, modulo 100."""
    assert numbers_of(experiment, account_id) == numbers


@given(st.text(max_size=40), st.lists(st.integers(1, 100), min_size=2, max_size=10, unique=True))
def test_a_rollout_that_grows_moves_nobody_from_arm_to_arm(account_id: str, rollouts: list[int]) -> None:
    plan = Plan("fresher", [Arm("control", 34), Arm("new", 33), Arm("newer", 33)])
    arms = [arm_of(_experiment(plan, rollout), account_id) for rollout in sorted(rollouts)]
    entered = [arm for arm in arms if arm is not None]
    assert arms == [None] * (len(arms) - len(entered)) + entered
    assert len({arm.name for arm in entered}) <= 1


def test_arms_have_their_shares_at_every_rollout() -> None:
    plan = Plan("fresher", [Arm("control", 70), Arm("new", 20), Arm("newer", 10)])
    for rollout in (5, 30, 100):
        found = (arm_of(_experiment(plan, rollout), f"a{n}") for n in range(40_000))
        arms = Counter(arm.name for arm in found if arm is not None)
        total = arms.total()
        assert total == pytest.approx(400 * rollout, rel=0.07)
        for arm in plan.arms:
            assert arms[arm.name] / total == pytest.approx(arm.weight / 100, abs=0.03)


def test_experiments_divide_accounts_independently() -> None:
    """Each arm of one has its share of each arm of the other."""
    pair = [_experiment(_renamed(PLAN, name), 100) for name in ("fresher", "wider")]
    cells = Counter(tuple(one.arm.name for one in assign(pair, f"account {n}")) for n in range(20_000))
    square = sum((count - 5_000) ** 2 / 5_000 for count in cells.values())
    assert len(cells) == 4
    assert square < 16.3  # three degrees of freedom, p = 0.001


def _renamed(plan: Plan, name: str) -> Plan:
    return Plan(name, plan.arms)


def test_who_takes_no_part_has_no_assignment() -> None:
    running = [_experiment(PLAN, 5), _experiment(_renamed(PLAN, "wider"), 100)]
    assigned = [[one.experiment for one in assign(running, f"a{n}")] for n in range(1_000)]
    assert all(names[-1] == "wider" for names in assigned)
    assert 20 <= sum(len(names) == 2 for names in assigned) <= 90


def _tally(accounts: int, converted: int) -> Tally:
    """Everybody got one answer, and some bought once, for 10."""
    return Tally(
        accounts=accounts,
        answers=accounts,
        converted=converted,
        purchases=converted,
        revenue=converted * 10 * MILLIONTHS,
        answers_squared=accounts,
        revenue_squared=converted * (10 * MILLIONTHS) ** 2,
    )


def _report(plan: Plan, *tallies: Tally) -> Report:
    return report(plan, {arm.name: tally for arm, tally in zip(plan.arms, tallies, strict=True)})


def _compared(control: Tally, new: Tally, metric: Metric = "conversion") -> Comparison:
    comparisons = _report(PLAN, control, new).arms[1].comparisons
    assert comparisons is not None
    return comparisons[metric]


def test_estimates_are_what_plain_arithmetic_gives() -> None:
    accounts = np.array([(1, 0, 0), (3, 1, 20), (2, 2, 5), (4, 1, 0)] * 100, dtype=float)
    tally = Tally(accounts=len(accounts))
    for answers, clicks, spent in accounts.astype(int).tolist():
        tally.add(
            Tally(
                answers=answers,
                clicks=clicks,
                converted=spent > 0,
                purchases=spent > 0,
                revenue=spent * MILLIONTHS,
                answers_squared=answers**2,
                clicks_squared=clicks**2,
                answers_clicks=answers * clicks,
                revenue_squared=(spent * MILLIONTHS) ** 2,
            )
        )
    answers, clicks, spent = accounts.T
    found = _report(PLAN, tally, Tally()).arms[0].estimates
    _check(found["ctr"], clicks.sum() / answers.sum(), (clicks - 0.4 * answers) / answers.mean(), 400)
    _check(found["conversion"], (spent > 0).mean(), spent > 0, 200)
    _check(found["revenue"], spent.mean(), spent, 200)


def _check(found: Estimate, value: float, contributions: NDArray[Any], information: float) -> None:
    reach = standard_errors(information, PLAN.alpha) * np.std(contributions, ddof=1) / math.sqrt(len(contributions))
    assert found.value == pytest.approx(value)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((value - reach, value + reach))


def test_a_difference_is_the_arm_less_the_control() -> None:
    found = _compared(_tally(10_000, 1_000), _tally(10_000, 1_300))
    assert found.difference == pytest.approx(0.03)
    assert found.lift == pytest.approx(0.3)
    assert found.interval is not None
    assert 0 < found.interval.low < 0.03 < found.interval.high
    assert found.p_value < PLAN.alpha
    assert [one.verdict for one in _report(PLAN, _tally(10_000, 1_000), _tally(10_000, 1_300)).arms] == [
        None,
        "better",
    ]
    assert _report(PLAN, _tally(10_000, 1_300), _tally(10_000, 1_000)).arms[1].verdict == "worse"
    assert _report(PLAN, _tally(10_000, 1_000), _tally(10_000, 1_010)).arms[1].verdict == "undecided"


@pytest.mark.parametrize(
    ("control", "new"),
    [
        (Tally(), Tally()),
        (_tally(5_000, 500), Tally()),
        (_tally(LEAST_ACCOUNTS - 1, 0), _tally(LEAST_ACCOUNTS - 1, 90)),
        (_tally(5_000, 39), _tally(5_000, 0)),  # 19.5 an arm
        (_tally(95_000, 379), _tally(5_000, 0)),  # 18.95 by its share
    ],
)
def test_too_little_says_nothing(control: Tally, new: Tally) -> None:
    found = _compared(control, new)
    assert (found.interval, found.p_value) == (None, 1.0)
    assert _report(PLAN, control, new).arms[1].verdict in {"undecided", "mismatch"}


def test_an_arm_that_loses_every_purchase_is_found_worse() -> None:
    assert _report(PLAN, _tally(5_000, 60), _tally(5_000, 0)).arms[1].verdict == "worse"


@pytest.mark.parametrize("metric", ["ctr", "conversion", "revenue"])
def test_where_all_accounts_are_alike_nothing_is_found(metric: Metric) -> None:
    """A variance of 0 that came out of rounding as a tiny number would make a tiny number a sure difference."""
    control, new = _alike(4_999), _alike(5_001)
    assert _compared(control, new, metric).p_value == 1.0


def _alike(accounts: int) -> Tally:
    """Every account clicked its one answer and bought for a third of 1."""
    third = round(MILLIONTHS / 3)
    return replace(
        _tally(accounts, accounts),
        revenue=accounts * third,
        revenue_squared=accounts * third**2,
        clicks=accounts,
        clicks_squared=accounts,
        answers_clicks=accounts,
    )


def test_purchases_without_an_amount_are_no_information_about_revenue() -> None:
    few_priced = replace(_tally(5_000, 15), converted=500, purchases=500, unpriced=485)
    assert _compared(few_priced, few_priced, "conversion").interval is not None
    assert _compared(few_priced, few_priced, "revenue").interval is None
    unpriced = replace(_tally(5_000, 500), revenue=0, revenue_squared=0, unpriced=500)
    assert _compared(_tally(5_000, 500), unpriced, "revenue").p_value < 0.01


def test_an_arm_with_few_events_does_not_look_surer_than_both_together() -> None:
    """By its own variance its difference would be 4 standard errors, by that of all accounts it is 3."""
    control, new = _tally(9_500, 475), _tally(500, 11)
    together = 486 / 10_000
    error = math.sqrt(together * (1 - together) * (1 / 500 + 1 / 9_500))
    found = _compared(control, new)
    assert found.interval is not None
    assert found.interval.high - found.interval.low == pytest.approx(2 * standard_errors(486, 0.05) * error, rel=0.01)
    assert found.p_value > PLAN.alpha


def test_more_arms_share_alpha() -> None:
    """Two arms are compared: what would be found alone, just about, is not."""
    three = Plan("fresher", [Arm("control", 34), Arm("new", 33), Arm("newer", 33)])
    control, just, clearly = _tally(10_000, 1_000), _tally(10_000, 1_140), _tally(10_000, 1_160)
    for new, alone, together in ((just, True, False), (clearly, True, True)):
        arms = _report(three, control, new, control).arms
        assert arms[1].comparisons is not None
        found, before = arms[1].comparisons["conversion"], _compared(control, new)
        assert found.p_value == pytest.approx(2 * before.p_value)
        assert found.interval is not None
        assert before.interval is not None
        assert (before.p_value <= PLAN.alpha, before.interval.low > 0) == (alone, alone)
        assert (found.p_value <= PLAN.alpha, found.interval.low > 0) == (together, together)
        assert arms[1].verdict == ("better" if together else "undecided")


def test_wrong_shares_spoil_every_verdict() -> None:
    found = _report(PLAN, _tally(10_000, 1_000), _tally(9_000, 1_300))
    assert found.mismatch
    assert found.shares_p_value <= MISMATCH_ALPHA
    assert [one.verdict for one in found.arms] == [None, "mismatch"]


def test_a_single_arm_is_only_rolled_out() -> None:
    found = report(Plan("fresher", [Arm("new", 100)]), {"new": _tally(1_000, 100)})
    (arm,) = found.arms
    assert (arm.comparisons, arm.verdict, found.mismatch) == (None, None, False)
