"""Tests that may be looked at as often as one likes, and ended whenever one likes.

A p-value of a fixed size says how likely a difference is at one look. Looked at daily it falls below 0.05 on some day
much more often than one time in twenty. The figures here hold at all looks at once: with probability 1 - alpha an
interval never, at no look, lies beside the truth, and a p-value never falls to alpha where there is no difference.

- Intervals: asymptotic confidence sequences. Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central
  limit theory and asymptotic confidence sequences", Annals of Statistics 52(6), 2024; arXiv 2103.06476, Theorem 2.2
  and, for variances that change, Proposition 2.5. They are Robbins' normal mixture (1970), the variance estimated.
- P-values: the smallest alpha whose interval leaves out 0. That is the always valid p-value of the mixture
  sequential probability ratio test: Johari, Koomen, Pekelis, Walsh, "Peeking at A/B tests", KDD 2017.
- Counts against shares: Lindon, Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022;
  arXiv 2011.03567.
"""

import math
from collections.abc import Sequence

_TIGHTEST_AT = 1_000.0
"""The information at which intervals are narrowest. With ten times as much they are 7 % wider than they could be for
it, with a tenth 27 %."""

_TUNED_FOR = 0.05
_MIXTURE = (-2 * math.log(_TUNED_FOR) + math.log(1 - 2 * math.log(_TUNED_FOR))) / _TIGHTEST_AT
"""The square of the papers' rho, by the first of them, appendix B.2: the variance of the mixing distribution."""

_CONCENTRATIONS = (10.0, 1_000.0)
"""Of two Dirichlet distributions around the expected shares, in accounts: the first is quick to find an arm that is
not there at all, the second one that lacks a few accounts of a hundred."""


def standard_errors(information: float, alpha: float) -> float:
    """How many standard errors an interval reaches to each side of its estimate.

    `information` says how far the experiment has come, in a unit in which every step adds as much variance as any
    other: the number of observations where these are alike.
    """
    grown = 1 + _MIXTURE * information
    return math.sqrt(grown / (_MIXTURE * information) * (math.log(grown) - 2 * math.log(alpha)))


def p_value(estimate: float, standard_error: float, information: float) -> float:
    """How little alpha could be for the interval around `estimate` to leave out 0; at most 1."""
    grown = 1 + _MIXTURE * information
    square = (estimate / standard_error) ** 2
    return min(1.0, math.exp(0.5 * (math.log(grown) - square * _MIXTURE * information / grown)))


def shares_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """How well counts go with the shares that they should have, which add up to 1.

    One over the odds, after these counts, of shares from a Dirichlet distribution around the expected ones against
    the expected ones themselves; the mean odds of two distributions.
    """
    log_odds = [_log_odds(counts, shares, concentration) for concentration in _CONCENTRATIONS]
    largest = max(log_odds)
    mean = largest + math.log(sum(math.exp(one - largest) for one in log_odds) / len(log_odds))
    return math.exp(min(0.0, -mean))


def _log_odds(counts: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    odds = math.lgamma(concentration) - math.lgamma(concentration + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        prior = concentration * share
        odds += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return odds
