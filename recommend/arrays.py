"""Names for the array types; every array in recommend/ is one of these."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes: TypeAlias = NDArray[np.int32]
"""Places in a list of ids; -1 for none."""
Moments: TypeAlias = NDArray[np.int64]
"""Microseconds since the Unix epoch, UTC."""
Places: TypeAlias = NDArray[np.intp]
"""Places in another array."""
Floats: TypeAlias = NDArray[np.float32]
Flags: TypeAlias = NDArray[np.bool_]

NONE = -1


def floats(values: ArrayLike) -> Floats:
    """Single precision: what features, factors and files are in."""
    return np.asarray(values, np.float32)


SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
