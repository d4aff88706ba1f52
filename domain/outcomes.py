"""What accounts in an experiment did: from interactions to sums whose order does not matter.

An account counts from its first answer on, in the arm that it was assigned to, whatever it then saw (intention to
treat). What it did before does not count. Interactions come in any order, so what seems to have come before is kept
for a while, should an earlier answer still turn up.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from operator import attrgetter

import msgspec

from domain.interaction import Interaction
from domain.metadata import read_metadata
from domain.recommendations import BY_THE_MODEL
from domain.week import date_of, day_of

EXPOSURE = "recommendation_exposure"
"""An answer was given to an account that is in an experiment. It is about a Category, the place where the answer
stands (homepage, similar …): no popularity and no signal of the account comes of it."""

PURCHASE = "purchase"
CLICKS = frozenset({"click_from_recommendation", "view"})
"""A click, where it carries the recommendation_id of an answer."""

MOST_WAITING = 64
"""Outcomes of an account that are kept before its first answer; of more, the oldest are given up."""

MILLIONTHS = 1_000_000
"""Amounts are whole millionths, so that sums are exact in any order."""

_MOST_AMOUNT = 10**9
"""A larger price times quantity, of either sign, is taken for a mistake."""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """One click or purchase."""

    occurred_at: int
    """Microseconds since the Unix epoch, UTC."""
    clicks: int
    purchases: int
    amount: int | None = None
    """Price times quantity, in millionths; None where it has none that counts."""
    currency: str | None = None
    attributed: bool = False
    """Whether it carries the recommendation_id of an answer; a click always does."""


class Exposure(msgspec.Struct, frozen=True):
    """One answer."""

    occurred_at: int
    arms: Mapping[str, str]
    """Experiment → arm, as the answer was given."""
    rung: str | None = None
    """What it stood on; None where who sent this does not say."""
    model_version: str | None = None

    def is_by(self, model: str | None) -> bool:
        """Whether an arm of this model was behind the answer, and not a fallback."""
        if self.rung is None:
            return True
        return self.rung in BY_THE_MODEL and model in {None, self.model_version}


@dataclass(slots=True)
class Tally:
    """Sums over accounts of one arm. Those of squares and products are over each account's own total."""

    accounts: int = 0
    """With an answer."""
    answers: int = 0
    clicks: int = 0
    converted: int = 0
    """Accounts with a purchase."""
    purchases: int = 0
    unpriced: int = 0
    """Purchases without an amount that counts."""
    revenue: int = 0
    """In millionths."""
    attributed_purchases: int = 0
    """Those that carry the recommendation_id of an answer."""
    attributed_revenue: int = 0
    """In millionths."""
    answers_squared: int = 0
    clicks_squared: int = 0
    answers_clicks: int = 0
    revenue_squared: int = 0
    """In square millionths."""
    misassigned: int = 0
    """Answers that named another arm than the account's; they do not count."""
    fallbacks: int = 0
    """Answers that the arm's model and rules were not behind. They count: who gets them is part of what an arm is."""

    def add(self, other: "Tally") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class AccountCount:
    """One account in one experiment, so far."""

    exposed_at: int | None = None
    """Its first answer, in microseconds since the Unix epoch; None: it had none yet."""
    answers: int = 0
    clicks: int = 0
    purchases: int = 0
    revenue: int = 0
    """In millionths."""
    waiting: list[Outcome] = field(default_factory=list)
    """Outcomes of before `exposed_at`, oldest first."""


class _OfOutcome(msgspec.Struct):
    """The keys of an outcome's metadata that matter here; the front door has checked them."""

    recommendation_id: str | None = None
    price: Decimal | None = None
    quantity: int = 1
    currency: str | None = None


class _OfExposure(msgspec.Struct):
    """Likewise of an exposure's. In an outcome's these names are the shop's own, and may be of any type."""

    experiments: dict[str, str] = {}
    rung: str | None = None
    model_version: str | None = None


_decode_outcome = msgspec.json.Decoder(_OfOutcome).decode
_decode_exposure = msgspec.json.Decoder(_OfExposure).decode
_NO_OUTCOME, _NO_EXPOSURE = _OfOutcome(), _OfExposure()


def touches_of(
    interactions: Iterable[Interaction],
) -> tuple[dict[str, list[Exposure]], dict[str, list[Outcome]]]:
    """The answers and the outcomes among interactions, by account. Metadata that can't be read has no meaning."""
    exposures: dict[str, list[Exposure]] = {}
    outcomes: dict[str, list[Outcome]] = {}
    for one in interactions:
        if one.event_type == EXPOSURE:
            exposures.setdefault(one.account_id, []).append(_exposure(one))
        elif one.event_type == PURCHASE:
            outcomes.setdefault(one.account_id, []).append(_purchase(one))
        elif one.event_type in CLICKS and _is_of_an_answer(one):
            outcomes.setdefault(one.account_id, []).append(Outcome(one.occurred_at, 1, 0, attributed=True))
    return exposures, outcomes


def _is_of_an_answer(one: Interaction) -> bool:
    """Whether it came from an answer. Most interactions did not, and are not worth being parsed."""
    return (
        one.metadata is not None and "recommendation_id" in one.metadata and bool(_of_outcome(one).recommendation_id)
    )


def _exposure(one: Interaction) -> Exposure:
    known = read_metadata(one.metadata, _decode_exposure, _NO_EXPOSURE)
    return Exposure(one.occurred_at, known.experiments, known.rung, known.model_version)


def _purchase(one: Interaction) -> Outcome:
    known = _of_outcome(one)
    amount = None
    if known.price is not None and known.price.is_finite():
        exact = known.price * known.quantity
        if abs(exact) <= _MOST_AMOUNT:
            amount = round(exact * MILLIONTHS)
    return Outcome(one.occurred_at, 0, 1, amount, known.currency, bool(known.recommendation_id))


def _of_outcome(one: Interaction) -> _OfOutcome:
    return read_metadata(one.metadata, _decode_outcome, _NO_OUTCOME)


def in_currency(outcome: Outcome, currency: str | None) -> Outcome:
    """The outcome as an experiment counts it that counts revenue in this currency."""
    if currency is None or outcome.amount is None or outcome.currency in {None, currency}:
        return outcome
    return msgspec.structs.replace(outcome, amount=None)


def count(account: AccountCount, answered_at: Sequence[int], outcomes: Sequence[Outcome]) -> dict[date, Tally]:
    """Counts answers and outcomes into an account; what that adds to its arm, by UTC day.

    The sums over all days are the same in whatever order and portions everything comes. A day has what occurred on
    it; of the squares, which do not come apart by day, it has what they grew by when that was counted.
    """
    days: defaultdict[int, Tally] = defaultdict(Tally)
    if answered_at:
        _expose(account, min(answered_at), days)
    for moment in answered_at:
        _add(account, days[day_of(moment)], answers=1)
    for one in _due(account, outcomes):
        tally = days[day_of(one.occurred_at)]
        _add(account, tally, clicks=one.clicks, purchases=one.purchases, amount=one.amount)
        if one.purchases and one.attributed:
            tally.attributed_purchases += one.purchases
            tally.attributed_revenue += one.amount or 0
    return {date_of(day): tally for day, tally in days.items()}


def _expose(account: AccountCount, answered_at: int, days: Mapping[int, Tally]) -> None:
    """Has the account count from this answer on, where it does not from an earlier one."""
    before = account.exposed_at
    if before is not None and before <= answered_at:
        return
    if before is not None:
        days[day_of(before)].accounts -= 1
    days[day_of(answered_at)].accounts += 1
    account.exposed_at = answered_at


def _due(account: AccountCount, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Of these and of those that waited, the ones that count now; the others wait."""
    start = account.exposed_at
    every = sorted([*account.waiting, *outcomes], key=_time)
    due = [one for one in every if start is not None and one.occurred_at >= start]
    account.waiting = every[: len(every) - len(due)][-MOST_WAITING:]
    return due


_time = attrgetter("occurred_at")


def _add(
    account: AccountCount,
    tally: Tally,
    *,
    answers: int = 0,
    clicks: int = 0,
    purchases: int = 0,
    amount: int | None = None,
) -> None:
    had = account.answers, account.clicks, account.revenue
    tally.converted += bool(purchases and not account.purchases)
    tally.unpriced += purchases if amount is None else 0
    account.answers += answers
    account.clicks += clicks
    account.purchases += purchases
    account.revenue += amount or 0
    tally.answers += answers
    tally.clicks += clicks
    tally.purchases += purchases
    tally.revenue += amount or 0
    tally.answers_squared += account.answers**2 - had[0] ** 2
    tally.clicks_squared += account.clicks**2 - had[1] ** 2
    tally.answers_clicks += account.answers * account.clicks - had[0] * had[1]
    tally.revenue_squared += account.revenue**2 - had[2] ** 2
