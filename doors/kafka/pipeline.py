"""Portions under way: several are recorded at once, and end in the order in which they were read."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from doors.kafka.recorder import Partition, Portion


class Pipeline:
    def __init__(
        self, record: Callable[[Portion], Coroutine[Any, Any, None]], ended: Callable[[Portion], None], *, most: int
    ) -> None:
        """`ended` is told of a portion once it and all that were read before it are recorded; `most` are under way
        at once.
        """
        self._record = record
        self._ended = ended
        self._most = most
        self._under_way: deque[tuple[Portion, asyncio.Task[None]]] = deque()
        self._moved = asyncio.Event()
        self._failure: BaseException | None = None

    def begin(self, portion: Portion) -> None:
        task = asyncio.create_task(self._record(portion))
        self._under_way.append((portion, task))
        task.add_done_callback(self._advance)

    def check(self) -> None:
        """Raises what nobody foresaw: what came after it must not count as recorded."""
        if self._failure is not None:
            raise self._failure

    async def has_room(self, within_s: float) -> bool:
        return await self._until(lambda: len(self._under_way) < self._most, within_s)

    async def is_empty(self, within_s: float) -> bool:
        return await self._until(lambda: not self._under_way, within_s)

    def let_go(self, partitions: Iterable[Partition]) -> None:
        """What is under way of these is no longer told: somebody else begins with it again."""
        gone = set(partitions)
        for portion, _ in self._under_way:
            for one in gone & portion.ends.keys():
                del portion.ends[one]

    def cancel(self) -> None:
        """Drops what is under way: none of it is told."""
        for _, task in self._under_way:
            task.cancel()
        self._under_way.clear()

    def _advance(self, _task: "asyncio.Task[None]") -> None:
        while self._under_way and self._under_way[0][1].done():
            portion, task = self._under_way[0]
            if (error := task.exception()) is not None:
                self._failure = error
                break
            self._under_way.popleft()
            self._ended(portion)
        self._moved.set()

    async def _until(self, holds: Callable[[], bool], within_s: float) -> bool:
        deadline = asyncio.get_running_loop().time() + within_s
        while not holds():
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0 or self._failure is not None:
                return False
            self._moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._moved.wait()
        return True
