"""Sources of candidates, each in its time.

They are asked one after the other, in the thread that makes the answer: NumPy and FAISS are done with most of them in
less than it takes to hand them over to threads and back. The loop looks after that thread. Where it stays with one
source for longer than that may take, the thread is given up, and another one makes the answer without that source.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from domain.errors import FootfallError
from recommend.candidates import SOURCES, Source, Sourced
from serving.metrics import FAILURES, LATE_SOURCES

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

BUDGETS_S: Mapping[Source, float] = {
    "collaborative": 0.03,
    "next": 0.02,
    "content": 0.03,
    "popular": 0.02,
    "trending": 0.01,
}
_LOOK_EVERY_S = 0.01


class GivenUpError(FootfallError):
    """Nobody waits for this answer any more."""


@dataclass(slots=True)
class Asking:
    """The sources of one answer."""

    left_out: frozenset[Source]
    source: Source | None = None
    """The one that is being asked."""
    since_s: float = 0.0
    is_given_up: bool = False

    def ask(self, sources: Mapping[Source, Callable[[], Sourced]]) -> dict[Source, Sourced]:
        """What they found.

        Raises:
            GivenUpError: one took too long.
            FootfallError: a source's own, which says that no answer should be made without it.

        """
        found = {}
        for name, source in sources.items():
            if name in self.left_out:
                LATE_SOURCES.labels(name).inc()
                continue
            self.since_s, self.source = time.monotonic(), name
            try:
                found[name] = source()
            except FootfallError:
                raise
            except Exception:
                # The other sources make an answer too.
                FAILURES.labels(name).inc()
                _log.exception("an answer without the source %s", name)
            self.source = None
            if self.is_given_up:
                raise GivenUpError
        return found

    def late(self, budgets_s: Mapping[Source, float]) -> Source | None:
        """The source that is being asked for too long."""
        name, took_s = self.source, time.monotonic() - self.since_s
        return name if name is not None and took_s > budgets_s[name] else None


class InTime(Generic[_T]):
    """Makes answers in threads, so many at a time."""

    def __init__(self, at_once: int, budgets_s: Mapping[Source, float] = BUDGETS_S) -> None:
        self._turns = asyncio.Semaphore(at_once)
        # At the worst every source holds a thread.
        self._threads = ThreadPoolExecutor(at_once + len(SOURCES), thread_name_prefix="answers")
        self._budgets_s = budgets_s
        self._hanging: set[Source] = set()

    async def run(self, make: Callable[[Asking], _T]) -> _T:
        """What `make` returns; asked again, without it, where a source was late. Raises what `make` raises."""
        async with self._turns:
            while True:
                asking = Asking(frozenset(self._hanging))
                making = asyncio.get_running_loop().run_in_executor(self._threads, make, asking)
                late = await self._late(asking, making)
                if late is None:
                    return making.result()
                asking.is_given_up = True
                self._hanging.add(late)
                making.add_done_callback(partial(self._ended, late))

    async def _late(self, asking: Asking, making: "asyncio.Future[_T]") -> Source | None:
        """The source that the answer has to do without; None where it is made."""
        while not (await asyncio.wait({making}, timeout=_LOOK_EVERY_S))[0]:
            if (late := asking.late(self._budgets_s)) is not None:
                return late
        return None

    def _ended(self, late: Source, making: "asyncio.Future[_T]") -> None:
        """It is asked again from now on. What came of the answer is of no interest, but to asyncio."""
        self._hanging.discard(late)
        if not making.cancelled():
            making.exception()
