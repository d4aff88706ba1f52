"""Loops that would be many passes of NumPy over small arrays, compiled by Numba.

They let go of the interpreter's lock, so that answers on several threads use several cores. What was compiled is
kept for the next process in the folder that NUMBA_CACHE_DIR names. Numba notices changes of the file that a loop is
in, and of no other, so that a loop calls only those of its own file.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def compiled(loop: _Loop) -> _Loop:
    """The same, compiled for the types that it is called with, when it first is; the plain one is its `py_func`."""
    made: Any = numba.njit(nogil=True, cache=True)(loop)
    return cast("_Loop", made)
