"""How much more often one thing follows another than what is expected, where most counts are too small to say.

The ratio of what was counted to what was expected is taken to be drawn from a mixture of two gamma distributions, one
near 1 and one of what goes together, which is fitted to all counts at once (DuMouchel 1999; only those above 0 are
looked at: DuMouchel, Pregibon 2001). One sighting of a rare follower says more than one of a popular one.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

from recommend.arrays import Floats, floats

_FITTED_ON = 8_000
_ITERATIONS = 200
_BEGIN = (np.log(2.0), np.log(0.1), np.log(20.0), np.log(20.0), -4.0)

_Doubles: TypeAlias = NDArray[np.float64]


def excess(counted: Floats, expected: Floats) -> Floats:
    """Of each cell that was counted at least once, by how much its mean in the long run is above what is expected.

    Never below 0. Both in the same order.
    """
    if not len(counted):
        return floats([])
    sample = np.random.default_rng(0).permutation(len(counted))[:_FITTED_ON]
    seen, usual_seen = counted.astype(np.float64), np.maximum(expected.astype(np.float64), 1e-9)
    fitted = minimize(
        _surprise,
        np.array(_BEGIN),
        (seen[sample], usual_seen[sample]),
        method="Nelder-Mead",
        options={"maxiter": _ITERATIONS},
    )
    pair, usual, share = _unpacked(fitted.x)
    log_pair = np.log(share) + _log_chance(seen, usual_seen, *pair)
    log_usual = np.log1p(-share) + _log_chance(seen, usual_seen, *usual)
    is_pair = np.exp(log_pair - np.logaddexp(log_pair, log_usual))
    means = [(shape + seen) / (rate + usual_seen) for shape, rate in (pair, usual)]
    ratio = is_pair * means[0] + (1 - is_pair) * means[1]
    return floats(np.maximum(ratio - 1, 0) * usual_seen)


def _surprise(parameters: _Doubles, counted: _Doubles, expected: _Doubles) -> float:
    """Mean negative logarithm of the likelihood of counts, given that they are not 0."""
    pair, usual, share = _unpacked(parameters)

    def log_mixed(counts: _Doubles) -> _Doubles:
        mixed: _Doubles = np.logaddexp(
            np.log(share) + _log_chance(counts, expected, *pair),
            np.log1p(-share) + _log_chance(counts, expected, *usual),
        )
        return mixed

    none = np.minimum(log_mixed(np.zeros_like(counted)), -1e-12)
    return float(-(log_mixed(counted) - np.log(-np.expm1(none))).mean())


def _unpacked(parameters: _Doubles) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Shape and rate of the two distributions, and the share of the first."""
    first_shape, first_rate, second_shape, second_rate = np.exp(np.clip(parameters[:4], -9, 9)).tolist()
    share = 1 / (1 + np.exp(-np.clip(parameters[4], -12, 12)))
    return (first_shape, first_rate), (second_shape, second_rate), float(share)


def _log_chance(counts: _Doubles, expected: _Doubles, shape: float, rate: float) -> _Doubles:
    """Of a Poisson variable whose mean is `expected` times a gamma variable: the negative binomial distribution."""
    chance: _Doubles = (
        gammaln(shape + counts)
        - gammaln(shape)
        - gammaln(counts + 1)
        + shape * np.log(rate / (rate + expected))
        + counts * np.log(expected / (rate + expected))
    )
    return chance
