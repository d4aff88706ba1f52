"""APIs and workers that are replaced one after the other."""

import asyncio
import signal
from typing import NamedTuple

from tests.stack import Stack

LEAVE_S = 3
BETWEEN_S = 1.5
"""For which an API is up before the next one leaves; the proxy looks twice a second."""


class Pair(NamedTuple):
    """Two times an API and a worker on one database, and the URL of the proxy before them."""

    stacks: list[Stack]
    front: str


async def roll(stacks: list[Stack]) -> None:
    """Replaces every worker and every API, none at the same time as another."""
    for stack in stacks:
        for name in ("worker", "api"):
            await asyncio.sleep(BETWEEN_S)
            await replace(stack, name)
    await asyncio.sleep(BETWEEN_S)


async def replace(stack: Stack, name: str) -> None:
    """Tells a process to end, and starts it again from the code that the stack has now."""
    process = stack.processes[name]
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 30)
    await asyncio.to_thread(stack.start, name)
