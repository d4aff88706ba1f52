"""Long work in pieces on the event loop: whatever else is under way has its turns between them."""

import asyncio
from collections.abc import Generator
from typing import TypeVar

_T = TypeVar("_T")

Turns = Generator[None, None, _T]
"""Work that yields where others may have a turn, every few milliseconds, and returns what came of it."""


async def in_turns(work: Turns[_T]) -> _T:
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: _T = done.value
            return found
        await asyncio.sleep(0)
