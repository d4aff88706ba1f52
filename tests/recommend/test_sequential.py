"""The sequential figures: what they are at one look, and how rarely all looks together mislead."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from recommend.sequential import p_value, shares_p_value, standard_errors


def test_an_interval_is_widest_with_little_information_and_narrowest_where_it_is_tuned() -> None:
    reaches = [standard_errors(information, 0.05) for information in (10, 100, 500, 1_000)]
    assert reaches == sorted(reaches, reverse=True)
    assert standard_errors(1_000, 0.05) == pytest.approx(3.035, abs=0.001)
    assert min(standard_errors(information, 0.05) for information in range(1, 100_000)) == pytest.approx(
        standard_errors(1_000, 0.05), rel=1e-4
    )


def test_it_is_the_formula_of_the_paper() -> None:
    """Waudby-Smith et al., Theorem 2.2, written as there: t observations of variance 1."""
    t, alpha = 400, 0.05
    rho_squared = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / 1_000
    scaled = t * rho_squared + 1
    boundary = math.sqrt(2 * scaled / (t**2 * rho_squared) * math.log(math.sqrt(scaled) / alpha))
    assert standard_errors(t, alpha) / math.sqrt(t) == pytest.approx(boundary)


@pytest.mark.parametrize("information", [20, 300, 40_000])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 1e-6])
def test_a_p_value_is_alpha_where_the_interval_ends_at_0(information: float, alpha: float) -> None:
    reach = standard_errors(information, alpha) * 0.37
    assert p_value(reach, 0.37, information) == pytest.approx(alpha)
    assert p_value(-reach, 0.37, information) == pytest.approx(alpha)


def test_no_difference_says_nothing_and_a_huge_one_does_not_overflow() -> None:
    assert p_value(0.0, 1.0, 500) == 1.0
    assert p_value(1e9, 1.0, 500) == 0.0


def test_shares_of_one_arm_fit_always() -> None:
    assert shares_p_value([12_345], [1.0]) == pytest.approx(1.0)
    assert shares_p_value([0, 0], [0.5, 0.5]) == 1.0


def test_shares_are_the_formula_of_the_paper() -> None:
    """Lindon, Malek: the odds of a Dirichlet multinomial against the multinomial; here account by account."""
    counts, shares = (30, 50, 20), (0.25, 0.5, 0.25)
    odds = [_odds(counts, shares, concentration) for concentration in (10, 1_000)]
    assert sum(odds) / 2 > 0.1
    assert shares_p_value(counts, shares) == pytest.approx(min(1.0, 2 / sum(odds)))
    odds = [_odds((30, 90, 20), shares, concentration) for concentration in (10, 1_000)]
    assert shares_p_value((30, 90, 20), shares) == pytest.approx(2 / sum(odds))


def _odds(counts: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    odds, seen = 1.0, [0] * len(counts)
    for arm, count in enumerate(counts):
        for _ in range(count):
            odds *= (concentration * shares[arm] + seen[arm]) / (concentration + sum(seen)) / shares[arm]
            seen[arm] += 1
    return odds


def test_the_odds_of_a_million_accounts_do_not_overflow() -> None:
    assert shares_p_value([1_000_000, 0], [0.5, 0.5]) == 0.0
    assert 0.01 < shares_p_value([500_000, 500_500], [0.5, 0.5]) <= 1.0


def test_right_shares_are_seldom_called_wrong_however_often_they_are_looked_at() -> None:
    picker, runs, alpha = np.random.default_rng(20), 1_000, 0.05
    wrong = naively_wrong = 0
    for _ in range(runs):
        days = np.cumsum(picker.multinomial(picker.poisson(200), [0.7, 0.3], size=60), axis=0).tolist()
        wrong += any(shares_p_value(day, [0.7, 0.3]) <= alpha for day in days)
        naively_wrong += any(_chi_square_p_value(day, [0.7, 0.3]) <= alpha for day in days)
    assert wrong <= alpha * runs
    assert naively_wrong > 5 * alpha * runs


def _chi_square_p_value(counts: list[int], shares: list[float]) -> float:
    """Of a fixed size, for two arms: one degree of freedom."""
    total = sum(counts)
    square = sum((count - total * share) ** 2 / (total * share) for count, share in zip(counts, shares, strict=True))
    return math.erfc(math.sqrt(square / 2))


def test_an_arm_that_is_not_there_is_found_at_once() -> None:
    assert shares_p_value([17, 0], [0.5, 0.5]) <= 0.01
    assert shares_p_value([150, 0], [0.95, 0.05]) <= 0.01
    assert shares_p_value([8, 0], [0.5, 0.5]) > 0.01


def test_wrong_shares_are_found() -> None:
    """An arm of which a fifth gets no answer."""
    picker = np.random.default_rng(21)
    for _ in range(100):
        total = np.cumsum(picker.multinomial(200, [0.5 / 0.9, 0.4 / 0.9], size=60), axis=0).tolist()
        assert any(shares_p_value(day, [0.5, 0.5]) <= 0.01 for day in total)
