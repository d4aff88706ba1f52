"""Experiments: which arm an account is in, and what its arm's sums say.

Assignment. The SHA-256 of the experiment's name, a NUL and the account's id, in UTF-8, makes two numbers: its first 8
bytes and the 8 behind these, big endian, each modulo 100. The first is the account's bucket: it takes part where that
is below the rollout. The second picks the arm by the arms' weights, in their order. So

- an account's arm depends on nothing that changes, and a rollout that grows moves nobody from arm to arm;
- the shares of the arms are the same at every rollout: nothing that happens at some time of year or week has a larger
  part in one arm than in another;
- experiments are independent, since each name divides accounts anew.

Figures are of accounts from their first answer on, in the arm that they were assigned to (intention to treat).
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from domain.experiment import PERCENT, Arm, Assignment, Experiment, Metric, Plan
from domain.outcomes import MILLIONTHS, Tally
from recommend.sequential import p_value, shares_p_value, standard_errors

LEAST_ACCOUNTS = 100
"""Of an arm, before anything is said about it: the variances must be known by then."""
LEAST_EVENTS = 20
"""Clicks, converted accounts or priced purchases that an arm should have by its share of them, likewise."""
MISMATCH_ALPHA = 0.01
"""How likely it may be, over an experiment's whole life, that its shares are called wrong and are right."""

_NUMBER_BYTES = 8

Verdict = Literal["better", "worse", "undecided", "mismatch"]


def numbers_of(experiment: str, account_id: str) -> tuple[int, int]:
    """The account's bucket and its place among the arms' weights, each from 0 to 99. Never to be changed."""
    digest = hashlib.sha256(f"{experiment}\0{account_id}".encode()).digest()
    bucket, place = digest[:_NUMBER_BYTES], digest[_NUMBER_BYTES : 2 * _NUMBER_BYTES]
    return int.from_bytes(bucket) % PERCENT, int.from_bytes(place) % PERCENT


def arm_of(experiment: Experiment, account_id: str) -> Arm | None:
    """None where the account takes no part."""
    bucket, place = numbers_of(experiment.name, account_id)
    if bucket >= experiment.rollout:
        return None
    for arm in experiment.plan.arms:
        place -= arm.weight
        if place < 0:
            return arm
    raise AssertionError("the weights of a plan add up to 100")


def assign(experiments: Iterable[Experiment], account_id: str) -> list[Assignment]:
    """The account's arms, in the order of the experiments."""
    arms = ((one.name, arm_of(one, account_id)) for one in experiments)
    return [Assignment(name, arm) for name, arm in arms if arm is not None]


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """One metric of one arm."""

    value: float | None
    """None where there is nothing to divide by."""
    interval: Interval | None
    """None where there is too little to say."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of an arm and of the control."""

    difference: float | None
    """The arm's value less the control's."""
    lift: float | None
    """The difference as a share of the control's value."""
    interval: Interval | None
    """Of the difference; None where there is too little to say."""
    p_value: float
    """Times the number of arms that are compared: it may be held against alpha as it is. 1 where there is too little
    to say."""


@dataclass(frozen=True, slots=True)
class ArmReport:
    arm: Arm
    tally: Tally
    estimates: Mapping[Metric, Estimate]
    comparisons: Mapping[Metric, Comparison] | None
    """None for the control."""
    verdict: Verdict | None
    """By the plan's metric; None for the control."""


@dataclass(frozen=True, slots=True)
class Report:
    arms: Sequence[ArmReport]
    shares_p_value: float
    mismatch: bool
    """The arms have other shares of the accounts than their weights: something is wrong with the assignment or with
    what is recorded, and no figure here is to be trusted."""


@dataclass(frozen=True, slots=True)
class _Moments:
    """Of one metric, over the accounts of an arm."""

    accounts: int
    value: float
    variance: float
    """Of what one account contributes; that of `value` is this by the number of accounts. From whole numbers without
    rounding: where all accounts are alike it is 0, and not a tiny number that anything differs from."""
    events: int
    """What the metric is made of: clicks, converted accounts, priced purchases. The information of the sequential
    test: with each of them the variance of the sums grows by about the same."""


def _ctr(tally: Tally) -> _Moments | None:
    """Clicks an answer: a ratio of two sums over accounts, so its variance is by the delta method (Deng, Knoblich,
    Lu, "Applying the delta method in metric analytics", KDD 2018).
    """
    n, answers, clicks = tally.accounts, tally.answers, tally.clicks
    if n <= 1 or answers == 0:
        return None
    squares = (  # the sum of (clicks - rate * answers)² over the accounts, times the square of all answers
        answers**2 * tally.clicks_squared
        - 2 * answers * clicks * tally.answers_clicks
        + clicks**2 * tally.answers_squared
    )
    variance = Fraction(squares * n**2, answers**4 * (n - 1))
    return _Moments(n, clicks / answers, float(variance), clicks)


def _conversion(tally: Tally) -> _Moments | None:
    """Accounts with a purchase."""
    n, converted = tally.accounts, tally.converted
    if n <= 1:
        return None
    variance = Fraction(converted * (n - converted), n * (n - 1))
    return _Moments(n, converted / n, float(variance), converted)


def _revenue(tally: Tally) -> _Moments | None:
    """Revenue an account."""
    n = tally.accounts
    if n <= 1:
        return None
    variance = Fraction(n * tally.revenue_squared - tally.revenue**2, n * (n - 1) * MILLIONTHS**2)
    mean = Fraction(tally.revenue, n * MILLIONTHS)
    return _Moments(n, float(mean), float(variance), tally.purchases - tally.unpriced)


_METRICS: dict[Metric, Callable[[Tally], _Moments | None]] = {
    "ctr": _ctr,
    "conversion": _conversion,
    "revenue": _revenue,
}


def report(plan: Plan, tallies: Mapping[str, Tally]) -> Report:
    """What the sums of the arms say, by arm name. It holds at whatever time and as often as it is looked at."""
    sums = [tallies.get(arm.name, Tally()) for arm in plan.arms]
    shares = shares_p_value([one.accounts for one in sums], [arm.weight / PERCENT for arm in plan.arms])
    mismatch = shares <= MISMATCH_ALPHA
    compared = max(1, len(sums) - 1)
    arms = []
    for place, (arm, tally) in enumerate(zip(plan.arms, sums, strict=True)):
        estimates = {name: _estimate(metric(tally), plan.alpha) for name, metric in _METRICS.items()}
        if place == 0:
            arms.append(ArmReport(arm, tally, estimates, None, None))
            continue
        comparisons = {name: _compare(name, sums[0], tally, plan.alpha, compared) for name in _METRICS}
        verdict = "mismatch" if mismatch else _verdict(comparisons[plan.metric], plan.alpha)
        arms.append(ArmReport(arm, tally, estimates, comparisons, verdict))
    return Report(arms, shares, mismatch)


def _verdict(found: Comparison, alpha: float) -> Verdict:
    if found.difference is None or found.p_value > alpha:
        return "undecided"
    return "better" if found.difference > 0 else "worse"


def _estimate(moments: _Moments | None, alpha: float) -> Estimate:
    if moments is None:
        return Estimate(None, None)
    if moments.accounts < LEAST_ACCOUNTS or moments.events < LEAST_EVENTS:
        return Estimate(moments.value, None)
    reach = standard_errors(moments.events, alpha) * math.sqrt(moments.variance / moments.accounts)
    return Estimate(moments.value, Interval(moments.value - reach, moments.value + reach))


def _compare(metric: Metric, control: Tally, arm: Tally, alpha: float, compared: int) -> Comparison:
    """The arm against the control, at a level of alpha for all arms that are compared together (Bonferroni)."""
    moments = _METRICS[metric]
    one, other, both = moments(control), moments(arm), moments(_together(control, arm))
    if one is None or other is None or both is None:
        return Comparison(None, None, None, 1.0)
    difference = other.value - one.value
    lift = difference / one.value if one.value else None
    fewer = min(one.accounts, other.accounts)
    if fewer < LEAST_ACCOUNTS or both.events * fewer / both.accounts < LEAST_EVENTS:
        return Comparison(difference, lift, None, 1.0)
    error = math.sqrt(sum(max(two.variance, both.variance) / two.accounts for two in (one, other)))
    if error == 0:
        return Comparison(difference, lift, None, 1.0)
    reach = standard_errors(both.events, alpha / compared) * error
    p = min(1.0, p_value(difference, error, both.events) * compared)
    return Comparison(difference, lift, Interval(difference - reach, difference + reach), p)


def _together(control: Tally, arm: Tally) -> Tally:
    """Both as if they were one arm. An arm's own variance is taken for no less than theirs: one that had few events
    so far would look surer than it is.
    """
    both = Tally()
    both.add(control)
    both.add(arm)
    return both
