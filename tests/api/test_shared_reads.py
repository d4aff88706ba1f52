import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from api.shared_reads import SharedReads
from domain.errors import TransientError


class Source:
    """Reads that end when they are told to; each returns its number."""

    def __init__(self) -> None:
        self.begun = 0
        self._ends: list[asyncio.Future[int]] = []

    async def read(self) -> int:
        self.begun += 1
        self._ends.append(asyncio.get_running_loop().create_future())
        return await self._ends[-1]

    async def end(self, number: int, error: Exception | None = None) -> None:
        if error is None:
            self._ends[number - 1].set_result(number)
        else:
            self._ends[number - 1].set_exception(error)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


Ask = Callable[..., "asyncio.Task[int]"]


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def ask(source: Source) -> Ask:
    reads: SharedReads[int] = SharedReads()

    def start(key: str = "top", read: Callable[[], Coroutine[Any, Any, int]] = source.read) -> "asyncio.Task[int]":
        return asyncio.create_task(reads.get(key, read))

    return start


async def test_all_who_come_while_a_read_is_under_way_share_the_next(source: Source, ask: Ask) -> None:
    first = ask()
    await settle()
    later = [ask() for _ in range(10)]
    await settle()
    assert source.begun == 1  # none of them is answered by what began before they asked
    await source.end(1)
    assert (await first, source.begun) == (1, 2)
    last = ask()
    await settle()
    await source.end(2)
    assert await asyncio.gather(*later) == [2] * 10
    await source.end(3)
    assert await last == 3


async def test_a_read_begins_at_once_when_none_is_under_way(source: Source, ask: Ask) -> None:
    for number in (1, 2, 3):
        one = ask()
        await settle()
        assert source.begun == number
        await source.end(number)
        assert await one == number


async def test_other_keys_are_other_reads(source: Source, ask: Ask) -> None:
    ask("a"), ask("b")
    await settle()
    assert source.begun == 2


async def test_a_failure_is_that_of_its_own_callers_only(source: Source, ask: Ask) -> None:
    first = ask()
    await settle()
    second, third = ask(), ask()
    await source.end(1)
    assert await first == 1
    await source.end(2, TransientError("gone"))
    for one in (second, third):
        with pytest.raises(TransientError):
            await one
    fourth = ask()
    await settle()
    await source.end(3)
    assert await fourth == 3


async def test_the_next_read_begins_after_one_that_failed(source: Source, ask: Ask) -> None:
    first = ask()
    await settle()
    second = ask()
    await settle()
    await source.end(1, TransientError("gone"))
    with pytest.raises(TransientError):
        await first
    await source.end(2)
    assert await second == 2


async def test_a_caller_that_leaves_takes_nobody_along(source: Source, ask: Ask) -> None:
    first = ask()
    await settle()
    leaving, staying = ask(), ask()
    await settle()
    first.cancel(), leaving.cancel()
    await settle()
    await source.end(1)
    await source.end(2)
    assert await staying == 2
    assert first.cancelled()
    assert leaving.cancelled()
