"""Sources of candidates side by side, each in its time."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from domain.errors import FootfallError
from recommend.candidates import Source, Sourced
from serving.metrics import FAILURES, LATE_SOURCES

_log = logging.getLogger(__name__)

BUDGETS_S: Mapping[Source, float] = {
    "collaborative": 0.03,
    "next": 0.02,
    "content": 0.03,
    "popular": 0.02,
    "trending": 0.01,
}


class Sources:
    """Asks sources in threads. One that is still at work for an earlier answer that it came too late for is left out
    meanwhile.
    """

    def __init__(self, threads: int, budgets_s: Mapping[Source, float] = BUDGETS_S) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sources")
        self._budgets_s = budgets_s
        self._late: dict[Source, Future[Sourced]] = {}

    def ask(self, sources: Mapping[Source, Callable[[], Sourced]]) -> dict[Source, Sourced]:
        """What those found that were in time; the others are left out.

        Raises:
            FootfallError: a source's own, which says that no answer should be made without it.

        """
        started = time.monotonic()
        asked = {name: self._threads.submit(source) for name, source in sources.items() if not self._is_late(name)}
        found = {}
        for name, future in asked.items():
            left_s = started + self._budgets_s[name] - time.monotonic()
            try:
                found[name] = future.result(max(left_s, 0))
            except TimeoutError:
                LATE_SOURCES.labels(name).inc()
                self._late[name] = future
            except FootfallError:
                raise
            except Exception:
                # The other sources make an answer too.
                FAILURES.labels(name).inc()
                _log.exception("an answer without the source %s", name)
        return found

    def _is_late(self, name: Source) -> bool:
        late = self._late.get(name)
        if late is None or late.done():
            self._late.pop(name, None)
            return False
        LATE_SOURCES.labels(name).inc()
        return True
