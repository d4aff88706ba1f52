"""The highest of many scores."""

import numpy as np
from numpy.typing import NDArray

from recommend.arrays import Codes, Floats, Places

_LOW, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(32)
_ABOVE_ZERO = np.nextafter(np.float32(0), np.float32(1))


def best_of(items: Codes, scores: Floats, count: int) -> tuple[Codes, Floats]:
    """At most `count` items with their scores, best first, equal ones by code; those above 0 alone."""
    some = np.flatnonzero(scores >= max(_least(scores, count), _ABOVE_ZERO))
    best = np.sort(_keys(scores[some], items[some]))[:count]
    return (best & _LOW).astype(np.int32), (~(best >> _HIGH).astype(np.uint32)).view(np.float32)


def best_places(scores: Floats, count: int) -> Places:
    """The places of the `count` highest, best first, equal ones by place. None of them is below 0."""
    some = np.flatnonzero(scores >= _least(scores, count))
    return (np.sort(_keys(scores[some], some))[:count] & _LOW).astype(np.intp)


def _least(scores: Floats, count: int) -> np.float32:
    """That `count` of them are not below; 0 where there are no more."""
    last = len(scores) - count
    return np.partition(scores, last)[last] if 0 < last < len(scores) else np.float32(0)


def _keys(scores: Floats, ties: NDArray[np.signedinteger]) -> NDArray[np.uint64]:
    """One number for each that is the lower the better: the bits of numbers from 0 on are in their order. NumPy sorts
    numbers several times as fast as it finds the order that would sort them.
    """
    bits = (scores + np.float32(0)).view(np.uint32)  # -0 is 0
    keys: NDArray[np.uint64] = ((~bits).astype(np.uint64) << _HIGH) | ties.astype(np.uint64)
    return keys
