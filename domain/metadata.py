"""What metadata of recorded interactions says to those who read some keys of it."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

_T = TypeVar("_T")


def read_metadata(metadata: str | None, decode: Callable[[str], _T], nothing: _T) -> _T:
    """`nothing` where there is none, or where its keys are not what they have to be.

    Histories are older than the front door's checks of these keys, and what is odd there has happened all the same.
    """
    if metadata is None:
        return nothing
    try:
        return decode(metadata)
    except msgspec.DecodeError:
        return nothing
