"""Parts that an answer is made of and that may be gone, or slow."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from domain.errors import FootfallError, PermanentError
from serving.metrics import FAILURES

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_LEFT_ALONE_S = 1.0


class Part:
    """Asked within a time, and left alone for a while after it failed; then one question tries it for all others."""

    def __init__(self, name: str, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._within_s = within_s
        self._clock = clock
        self._left_alone_until = 0.0
        self._is_down = False
        self._given_up: set[asyncio.Task[Any]] = set()

    async def ask(self, question: Callable[[], Coroutine[Any, Any, _T]]) -> _T | None:
        """The answer, or None where there is none."""
        now = self._clock()
        if self._is_down:
            if now < self._left_alone_until:
                return None
            self._left_alone_until = now + _LEFT_ALONE_S + self._within_s
        try:
            answer = await self._in_time(question())
        except (FootfallError, TimeoutError) as error:
            self._failed(error)
            return None
        if self._is_down:
            _log.warning("%s answers again", self._name)
            self._is_down = False
        return answer

    async def _in_time(self, question: Coroutine[Any, Any, _T]) -> _T:
        """A question that is given up ends by itself: a statement that is cancelled waits until PostgreSQL has heard
        of it, which may be frozen.

        Raises:
            TimeoutError: there is no answer in time.

        """
        asked = asyncio.create_task(question)
        try:
            if (await asyncio.wait({asked}, timeout=self._within_s))[0]:
                return asked.result()
        finally:
            if not asked.done():
                asked.cancel()
                self._given_up.add(asked)
                asked.add_done_callback(self._ended)
        raise TimeoutError(f"no answer within {self._within_s:g} s")

    def _ended(self, asked: "asyncio.Task[Any]") -> None:
        self._given_up.discard(asked)
        if not asked.cancelled():
            asked.exception()  # nobody else looks at it, and asyncio complains of that

    def _failed(self, error: Exception) -> None:
        FAILURES.labels(self._name).inc()
        if not self._is_down:
            _log.warning("%s gives no answer: %s", self._name, error)
        # What can't ever be answered says nothing about other questions.
        if not isinstance(error, PermanentError):
            self._is_down, self._left_alone_until = True, self._clock() + _LEFT_ALONE_S
