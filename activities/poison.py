"""Finds the interactions that a fan-out can never apply, so that they do not hold back the others of their batch."""

import math
from collections.abc import Awaitable, Callable, Sequence

from domain.errors import TransientError
from domain.interaction import Interaction
from intake.log import Poison

# If so many, taken from all over the batch, all fail, the fault is not in them: a table is gone, the code is wrong.
_SAMPLE = 20
# More is a fault of the system too, even if some still pass.
_MOST_POISON = 1_000
_LONGEST_REASON = 500  # characters

Probe = Callable[[Sequence[Interaction]], Awaitable[None]]


async def find_poison(probe: Probe, interactions: Sequence[Interaction]) -> list[Poison]:
    """Those that fail by themselves, in the order of the batch; none where the fault is not in single interactions.

    About 2 p log2(n/p) probes for p of n.

    Raises:
        TransientError: `probe` did; nothing is known then.

    """
    if not await _some_pass(probe, interactions):
        return []
    search = _Search(probe)
    try:
        await search.look(interactions)
    except _NotInSingleOnesError:
        return []
    return search.found


async def _some_pass(probe: Probe, interactions: Sequence[Interaction]) -> bool:
    for one in interactions[:: max(1, math.ceil(len(interactions) / _SAMPLE))]:
        if await _reason(probe, [one]) is None:
            return True
    return False


async def _reason(probe: Probe, interactions: Sequence[Interaction]) -> str | None:
    """Why these fail, or None."""
    try:
        await probe(interactions)
    except TransientError:
        raise
    except Exception as error:  # unforeseen ones are as permanent
        return f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
    return None


class _NotInSingleOnesError(Exception):
    """Too many fail, or some fail only together."""


class _Search:
    """Halves whatever fails, until single interactions are left."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.found: list[Poison] = []

    async def look(self, part: Sequence[Interaction]) -> None:
        reason = await _reason(self._probe, part)
        if reason is None:
            return
        if len(part) == 1:
            self.found.append(Poison(part[0], reason))
            if len(self.found) > _MOST_POISON:
                raise _NotInSingleOnesError
            return
        before, half = len(self.found), len(part) // 2
        await self.look(part[:half])
        await self.look(part[half:])
        if len(self.found) == before:
            raise _NotInSingleOnesError
