"""Sums over accounts: the same in whatever order interactions come, and by first answers only."""

import random
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.interaction import Interaction
from domain.outcomes import (
    MILLIONTHS,
    MOST_WAITING,
    AccountCount,
    Exposure,
    Outcome,
    Tally,
    count,
    in_currency,
    touches_of,
)
from tests.factories import interaction

DAY = 86_400_000_000


def _purchase(occurred_at: int, amount: int | None = 10, *, attributed: bool = False) -> Outcome:
    return Outcome(occurred_at, 0, 1, amount, attributed=attributed)


def _click(occurred_at: int) -> Outcome:
    return Outcome(occurred_at, 1, 0, attributed=True)


def _total(days: dict[date, Tally], *more: dict[date, Tally]) -> Tally:
    total = Tally()
    for tally in [one for part in (days, *more) for one in part.values()]:
        total.add(tally)
    return total


def _with_metadata(metadata: str | None, **fields: Any) -> Interaction:
    return interaction(metadata=metadata, occurred_at=7, **fields)


@pytest.mark.parametrize(
    ("event_type", "metadata", "outcome"),
    [
        ("view", '{"recommendation_id":"r"}', _click(7)),
        ("click_from_recommendation", '{"recommendation_id":"r"}', _click(7)),
        ("view", '{"recommendation_id":""}', None),
        ("view", '{"not":"recommendation_id"}', None),
        ("view", None, None),
        ("add_to_cart", '{"recommendation_id":"r"}', None),
        ("purchase", None, _purchase(7, None)),
        ("purchase", '{"price":"12.50","quantity":3}', _purchase(7, 37_500_000)),
        ("purchase", '{"price":0.1,"currency":"EUR"}', Outcome(7, 0, 1, 100_000, "EUR")),
        ("purchase", '{"price":"0.0000005"}', _purchase(7, 0)),
        ("purchase", '{"price":-5}', _purchase(7, -5_000_000)),
        ("purchase", '{"price":"1000000000"}', _purchase(7, 10**15)),
        ("purchase", '{"price":"1000000000.01"}', _purchase(7, None)),
        ("purchase", '{"recommendation_id":"r","price":"2"}', _purchase(7, 2_000_000, attributed=True)),
        ("purchase", '{"recommendation_id":"","price":"2"}', _purchase(7, 2_000_000)),
        ("purchase", '{"price":2,"rung":1,"model_version":3,"experiments":"none"}', _purchase(7, 2_000_000)),
        ("purchase", '{"price":"NaN"}', _purchase(7, None)),
        ("purchase", '{"price":[1]}', _purchase(7, None)),
    ],
)
def test_what_counts_as_an_outcome(event_type: str, metadata: str | None, outcome: Outcome | None) -> None:
    exposures, outcomes = touches_of([_with_metadata(metadata, event_type=event_type)])
    assert exposures == {}
    assert outcomes == ({} if outcome is None else {"alice": [outcome]})


def test_an_exposure_names_its_arms() -> None:
    sent = [
        _with_metadata(
            '{"recommendation_id":"r","experiments":{"fresher":"new"}}', event_type="recommendation_exposure"
        ),
        _with_metadata('{"experiments":["fresher"]}', event_type="recommendation_exposure", account_id="bob"),
        _with_metadata(
            '{"experiments":{},"rung":"ranked","model_version":"v2"}',
            event_type="recommendation_exposure",
            account_id="carl",
        ),
    ]
    exposures, outcomes = touches_of(sent)
    assert exposures == {
        "alice": [Exposure(7, {"fresher": "new"})],
        "bob": [Exposure(7, {})],
        "carl": [Exposure(7, {}, "ranked", "v2")],
    }
    assert outcomes == {}


@pytest.mark.parametrize(
    ("rung", "version", "model", "by_it"),
    [
        ("ranked", "v2", "v2", True),
        ("defaults", "v2", "v2", True),
        ("candidates", "v1", None, True),
        ("ranked", "v1", "v2", False),
        ("precomputed", "v2", "v2", False),
        ("popular", None, None, False),
        ("memory", None, None, False),
        (None, None, "v2", True),
    ],
)
def test_an_answer_is_by_an_arm_or_a_fallback(
    rung: str | None, version: str | None, model: str | None, *, by_it: bool
) -> None:
    assert Exposure(7, {}, rung, version).is_by(model) is by_it


def test_amounts_of_another_currency_do_not_count() -> None:
    euros, dollars, unnamed = (Outcome(1, 0, 1, 5, currency) for currency in ("EUR", "USD", None))
    assert [in_currency(one, "EUR").amount for one in (euros, dollars, unnamed)] == [5, None, 5]
    assert [in_currency(one, None).amount for one in (euros, dollars, unnamed)] == [5, 5, 5]


def test_what_was_before_the_first_answer_does_not_count() -> None:
    account = AccountCount()
    days = count(account, [DAY], [_purchase(DAY - 1), _click(DAY - 1), _purchase(DAY), _click(2 * DAY)])
    assert days == {
        date(1970, 1, 2): Tally(
            accounts=1, answers=1, converted=1, purchases=1, revenue=10, answers_squared=1, revenue_squared=100
        ),
        date(1970, 1, 3): Tally(clicks=1, clicks_squared=1, answers_clicks=1),
    }
    assert [one.occurred_at for one in account.waiting] == [DAY - 1, DAY - 1]


def test_an_earlier_answer_that_comes_later_counts_what_waited() -> None:
    account = AccountCount()
    first = count(account, [3 * DAY], [_purchase(2 * DAY), _purchase(4 * DAY, 20)])
    second = count(account, [DAY], [])
    assert first[date(1970, 1, 4)].accounts == 1
    assert second[date(1970, 1, 4)] == Tally(accounts=-1)
    assert second[date(1970, 1, 2)] == Tally(accounts=1, answers=1, answers_squared=3)
    assert second[date(1970, 1, 3)] == Tally(purchases=1, revenue=10, revenue_squared=30**2 - 20**2)
    assert _total(first, second) == Tally(
        accounts=1, answers=2, converted=1, purchases=2, revenue=30, answers_squared=4, revenue_squared=900
    )
    assert account.waiting == []


def test_of_what_waits_the_newest_is_kept() -> None:
    account = AccountCount()
    for moment in range(1, MOST_WAITING + 11):
        count(account, [], [_purchase(moment)])
    assert [one.occurred_at for one in account.waiting] == list(range(11, MOST_WAITING + 11))
    assert _total(count(account, [1], [])).purchases == MOST_WAITING


_MOMENTS = st.integers(0, 5 * DAY)
_OUTCOMES = st.lists(
    st.one_of(
        _MOMENTS.map(_click),
        st.builds(_purchase, _MOMENTS, st.none() | st.integers(-(10**15), 10**15), attributed=st.booleans()),
    ),
    max_size=30,
)


@given(st.lists(_MOMENTS, max_size=8), _OUTCOMES, st.randoms(use_true_random=False))
def test_the_sums_do_not_depend_on_the_order_nor_on_the_portions(
    answers: list[int], outcomes: list[Outcome], picker: random.Random
) -> None:
    account = AccountCount()
    parts: list[tuple[list[int], list[Outcome]]] = [([one], []) for one in answers] + [
        ([], [one]) for one in outcomes
    ]
    picker.shuffle(parts)
    days = []
    while parts:
        portion, parts = parts[: (size := picker.randint(1, 5))], parts[size:]
        days.append(count(account, [one for part in portion for one in part[0]], [o for p in portion for o in p[1]]))
    assert _total({}, *days) == _plainly(answers, outcomes)


def _plainly(answers: list[int], outcomes: list[Outcome]) -> Tally:
    """By hindsight, with everything at hand."""
    if not answers:
        return Tally()
    counted = [one for one in outcomes if one.occurred_at >= min(answers)]
    clicks = sum(one.clicks for one in counted)
    purchases = [one for one in counted if one.purchases]
    revenue = sum(one.amount or 0 for one in purchases)
    return Tally(
        accounts=1,
        answers=len(answers),
        clicks=clicks,
        converted=bool(purchases),
        purchases=len(purchases),
        unpriced=sum(one.amount is None for one in purchases),
        revenue=revenue,
        attributed_purchases=sum(one.attributed for one in purchases),
        attributed_revenue=sum(one.amount or 0 for one in purchases if one.attributed),
        answers_squared=len(answers) ** 2,
        clicks_squared=clicks**2,
        answers_clicks=len(answers) * clicks,
        revenue_squared=revenue**2,
    )


def test_accounts_and_what_they_did_stand_on_the_days_on_which_they_occurred() -> None:
    account = AccountCount()
    count(account, [5 * DAY], [])
    days = count(account, [6 * DAY], [_click(7 * DAY), _purchase(8 * DAY, 5 * MILLIONTHS)])
    assert {day: (one.answers, one.clicks, one.revenue) for day, one in days.items()} == {
        date(1970, 1, 7): (1, 0, 0),
        date(1970, 1, 8): (0, 1, 0),
        date(1970, 1, 9): (0, 0, 5_000_000),
    }
