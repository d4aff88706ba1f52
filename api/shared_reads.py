"""One read for all who ask the same at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")


class SharedReads(Generic[Answer]):
    """Whoever asks while the same read is under way waits for the next, and shares it with all who came meanwhile.

    Every answer is of a read that began after it was asked for, so nobody sees less than a read of its own shows;
    and a list that a whole shop looks at is one read at a time, however many look.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Answer]] = {}
        self._next: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """What `read`, or another caller's by the same key, returns or raises. Who leaves takes nobody along."""
        under_way, shared = self._under_way.get(key), self._next.get(key)
        if shared is None:
            if under_way is None:
                shared = self._under_way[key] = asyncio.create_task(self._run(key, read))
            else:
                shared = self._next[key] = asyncio.create_task(self._run_after(under_way, key, read))
        return await asyncio.shield(shared)

    async def _run_after(
        self, earlier: asyncio.Task[Answer], key: Hashable, read: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        await asyncio.wait([earlier])
        self._under_way[key] = self._next.pop(key)
        return await self._run(key, read)

    async def _run(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        try:
            return await read()
        finally:
            if key not in self._next:
                del self._under_way[key]
