"""Experiments looked at after every day: seldom misled where nothing differs, and not blind where it does."""

from collections import Counter

import numpy as np
import pytest

from bench.simulated import ONCE, STEADY, USUAL, Arm, looks, naive_p_value, p_value
from domain import experiment
from domain.experiment import Metric, Plan

PLAN = Plan("fresher", [experiment.Arm("control", 50), experiment.Arm("new", 50)])
UNEVEN = Plan("fresher", [experiment.Arm("control", 90), experiment.Arm("new", 10)])
METRICS: tuple[Metric, ...] = ("ctr", "conversion", "revenue")

RUNS = 120


@pytest.mark.parametrize(
    ("plan", "control", "new"),
    [
        (PLAN, USUAL, USUAL),
        (PLAN, STEADY, STEADY),
        (PLAN, ONCE, ONCE),
        (UNEVEN, Arm(accounts=4_500, purchases_an_account=0.2), Arm(accounts=500, purchases_an_account=0.2)),
    ],
    ids=["usual", "steady", "once", "uneven"],
)
def test_where_nothing_differs_daily_looks_seldom_find_anything(plan: Plan, control: Arm, new: Arm) -> None:
    """In at most alpha of the experiments, over all 60 days; a test of a fixed size is misled far more often."""
    picker, misled, naively_misled = np.random.default_rng(30), Counter[Metric](), Counter[Metric]()
    for _ in range(RUNS):
        days = list(looks(picker, plan, control, new))
        for metric in METRICS:
            misled[metric] += any(p_value(look, metric) <= plan.alpha for look in days)
        for metric in ("conversion", "revenue"):
            naively_misled[metric] += any(naive_p_value(look, metric) <= plan.alpha for look in days)
    assert max(misled.values()) <= plan.alpha * RUNS, misled
    assert min(naively_misled.values()) > 4 * plan.alpha * RUNS, naively_misled


def test_a_difference_is_found_and_the_intervals_hold_it_at_every_look() -> None:
    """A third more clicks. What is true is known of clicks an answer: it does not grow with the days."""
    clicked, clicked_more = 0.10, 0.13
    control = Arm(accounts=3_000, purchases_an_account=0.1, clicks_an_answer=clicked)
    new = Arm(accounts=3_000, purchases_an_account=0.1, clicks_an_answer=clicked_more)
    picker, runs, found, missed = np.random.default_rng(31), 100, 0, 0
    for _ in range(runs):
        days = list(looks(picker, PLAN, control, new))
        intervals = [arm.comparisons["ctr"].interval for _, arm in days if arm.comparisons is not None]
        missed += not all(one is None or one.low <= clicked_more - clicked <= one.high for one in intervals)
        found += p_value(days[-1], "ctr") <= PLAN.alpha
    assert found >= 0.9 * runs
    assert missed <= PLAN.alpha * runs


def test_what_sells_more_is_found() -> None:
    more = Arm(accounts=2_000, purchases_an_account=0.4)
    picker, runs = np.random.default_rng(32), 100
    last = [list(looks(picker, PLAN, USUAL, more))[-1] for _ in range(runs)]
    verdicts = Counter(arm.verdict for _, arm in last)
    assert verdicts["better"] >= 0.9 * runs
    assert verdicts["worse"] == 0
    assert sum(p_value(look, "revenue") <= PLAN.alpha for look in last) >= 0.5 * runs
