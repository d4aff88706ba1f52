"""Simulated experiments, by the same sums that the store keeps: a tally of each arm after every day."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from domain.experiment import Metric, Plan
from domain.outcomes import MILLIONTHS, Tally
from recommend.experiments import ArmReport, report

Counts = NDArray[np.int64]
Events = tuple[Counts, Counts]
"""The accounts of events and their days, sorted by account, then by day."""

DAYS = 60

_CENT = MILLIONTHS // 100


@dataclass(frozen=True)
class Arm:
    """How the accounts of an arm behave. They come over `days_of_arrival`, and go on to the last day."""

    accounts: int
    purchases_an_account: float
    """Over all days, were it there from the first."""
    answers_an_account: float = 4.0
    """Likewise, beside the one that makes it take part."""
    clicks_an_answer: float = 0.1
    unlike: float = 1.0
    """How alike accounts are: each one's pace is from a gamma distribution of this shape and a mean of 1."""
    days_of_arrival: int = DAYS
    once: bool = False
    """Whether an account buys once at the most."""


USUAL = Arm(accounts=2_000, purchases_an_account=0.2)
"""Accounts that come day by day, of whom few buy a lot: what shops have."""
STEADY = Arm(accounts=1_000, purchases_an_account=1.0, unlike=1_000.0, days_of_arrival=1)
"""Everybody is there from the first day and buys at one pace: only what they did grows, and not who did it."""
ONCE = Arm(accounts=1_000, purchases_an_account=1.5, unlike=1_000.0, days_of_arrival=1, once=True)
"""Nobody buys twice, and most buy once: who converted can't again."""


Look = tuple[ArmReport, ArmReport]
"""The control, and the arm that is compared with it."""


def looks(picker: np.random.Generator, plan: Plan, control: Arm, new: Arm) -> Iterator[Look]:
    """What the two arms of an experiment say at the end of each day."""
    for tallies in zip(run(picker, control), run(picker, new), strict=True):
        one, other = report(plan, {arm.name: tally for arm, tally in zip(plan.arms, tallies, strict=True)}).arms
        yield one, other


def p_value(look: Look, metric: Metric) -> float:
    comparisons = look[1].comparisons
    assert comparisons is not None
    return comparisons[metric].p_value


def naive_p_value(look: Look, metric: Metric) -> float:
    """Of a fixed size, by Welch's test, of conversion or revenue: right at one look that was chosen before."""
    one, other = (arm.estimates[metric].value for arm in look)
    square = sum(_squared_error(arm.tally, metric) for arm in look)
    if not square or one is None or other is None:
        return 1.0
    return 2 * NormalDist().cdf(-abs(one - other) / math.sqrt(square))


def _squared_error(tally: Tally, metric: Metric) -> float:
    n = tally.accounts
    total, squares = {
        "conversion": (tally.converted, tally.converted),
        "revenue": (tally.revenue / MILLIONTHS, tally.revenue_squared / MILLIONTHS**2),
    }[metric]
    return max(0.0, squares / n - (total / n) ** 2) / n


def run(picker: np.random.Generator, arm: Arm) -> list[Tally]:
    """The arm's sums up to the end of each day."""
    came = picker.integers(0, arm.days_of_arrival, arm.accounts)
    pace = picker.gamma(arm.unlike, 1 / arm.unlike, arm.accounts) * (DAYS - came) / DAYS
    sums = {"accounts": np.bincount(came, minlength=DAYS)}
    first = np.arange(arm.accounts), came
    answers = _sorted(first, _events(picker, arm.answers_an_account * pace, came))
    sums |= _of_answers(answers, _clicked(picker, arm, answers))
    purchases = _events(picker, arm.purchases_an_account * pace, came)
    if arm.once:
        account, places = np.unique(purchases[0], return_index=True)
        purchases = account, purchases[1][places]
    sums |= _of_purchases(purchases, np.round(picker.lognormal(8.0, 1.0, len(purchases[0]))).astype(np.int64))
    columns = {name: np.cumsum(values).tolist() for name, values in sums.items()}
    return [
        Tally(
            **{name: values[day] for name, values in columns.items() if name not in {"cents", "cents_squared"}},
            revenue=columns["cents"][day] * _CENT,
            revenue_squared=columns["cents_squared"][day] * _CENT**2,
        )
        for day in range(DAYS)
    ]


def _events(picker: np.random.Generator, expected: NDArray[np.float64], came: Counts) -> Events:
    """Events that fall evenly on the days from when an account came."""
    account = np.repeat(np.arange(len(expected)), picker.poisson(expected))
    day = came[account] + (picker.random(len(account)) * (DAYS - came[account])).astype(np.int64)
    return _sorted((account, day))


def _sorted(*parts: Events) -> Events:
    account, day = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((day, account))
    return account[order], day[order]


def _clicked(picker: np.random.Generator, arm: Arm, answers: Events) -> Counts:
    """1 for each answer that was clicked; some accounts click more than others."""
    share = picker.beta(10 * arm.clicks_an_answer, 10 * (1 - arm.clicks_an_answer), arm.accounts)
    return (picker.random(len(answers[0])) < share[answers[0]]).astype(np.int64)


def _running(account: Counts, amounts: Counts) -> Counts:
    """Each account's total after each of its events."""
    total = np.cumsum(amounts)
    starts = np.flatnonzero(np.diff(account, prepend=-1))
    before = np.repeat(total[starts] - amounts[starts], np.diff(starts, append=len(account)))
    after: Counts = total - before
    return after


def _by_day(day: Counts, amounts: Counts) -> Counts:
    return np.bincount(day, amounts, DAYS).astype(np.int64)


def _of_answers(answers: Events, clicked: Counts) -> dict[str, Counts]:
    account, day = answers
    ones = np.ones_like(account)
    asked, clicks = _running(account, ones), _running(account, clicked)
    return {
        "answers": _by_day(day, ones),
        "clicks": _by_day(day, clicked),
        "answers_squared": _by_day(day, asked**2 - (asked - 1) ** 2),
        "clicks_squared": _by_day(day, clicks**2 - (clicks - clicked) ** 2),
        "answers_clicks": _by_day(day, asked * clicks - (asked - 1) * (clicks - clicked)),
    }


def _of_purchases(purchases: Events, cents: Counts) -> dict[str, Counts]:
    account, day = purchases
    ones = np.ones_like(account)
    spent = _running(account, cents)
    return {
        "purchases": _by_day(day, ones),
        "converted": _by_day(day, (_running(account, ones) == 1).astype(np.int64)),
        "cents": _by_day(day, cents),
        "cents_squared": _by_day(day, spent**2 - (spent - cents) ** 2),
    }
