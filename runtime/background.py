"""Work beside a process's own: begun with it, and ended with it within a bound."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

_CANCEL_S = 1.0


def in_background(stack: AsyncExitStack, *works: Coroutine[Any, Any, None]) -> None:
    """Runs these until the stack is closed."""
    tasks = [asyncio.create_task(work) for work in works]

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await ended(*tasks, within_s=_CANCEL_S)

    stack.push_async_callback(end)


async def ended(*tasks: "asyncio.Task[None]", within_s: float) -> bool:
    """Waits for their end, but not for ever; those that have not ended are cancelled.

    One that is cancelled in the middle of a statement waits until PostgreSQL has heard of that, which may be frozen:
    it ends when the pool cuts its connection.
    """
    _, left = await asyncio.wait(tasks, timeout=within_s)
    for task in left:
        task.cancel()
    return not left
