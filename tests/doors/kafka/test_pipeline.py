"""Several portions are under way at once, and none is told before those that were read earlier."""

import asyncio

import pytest

from doors.kafka.pipeline import Pipeline
from doors.kafka.recorder import Portion


class _Recording:
    """A pipeline of three, in which each portion is recorded when the test says so."""

    def __init__(self) -> None:
        self.told: list[dict[tuple[str, int], int]] = []
        self.portions = [Portion(ends={("t", 0): end, ("t", 1): end}) for end in (1, 2, 3)]
        self.answers = [asyncio.get_running_loop().create_future() for _ in self.portions]
        self.pipeline = Pipeline(self._record, lambda portion: self.told.append(portion.ends), most=3)
        for portion in self.portions:
            self.pipeline.begin(portion)

    async def _record(self, portion: Portion) -> None:
        await self.answers[self.portions.index(portion)]

    async def recorded(self, number: int) -> None:
        self.answers[number].set_result(None)
        await asyncio.sleep(0.01)


async def test_they_are_told_in_the_order_in_which_they_were_read() -> None:
    one = _Recording()
    assert not await one.pipeline.has_room(0)
    await one.recorded(2)
    await one.recorded(1)
    assert one.told == []
    assert not await one.pipeline.is_empty(0)
    await one.recorded(0)
    assert one.told == [portion.ends for portion in one.portions]
    assert await one.pipeline.is_empty(0)


async def test_what_somebody_else_has_is_not_told() -> None:
    one = _Recording()
    one.pipeline.let_go([("t", 1)])
    for number in range(3):
        await one.recorded(number)
    assert one.told == [{("t", 0): 1}, {("t", 0): 2}, {("t", 0): 3}]


async def test_behind_what_failed_nothing_is_told() -> None:
    one = _Recording()
    one.answers[0].set_exception(ZeroDivisionError())
    await one.recorded(1)
    assert one.told == []
    assert not await one.pipeline.is_empty(10)
    with pytest.raises(ZeroDivisionError):
        one.pipeline.check()
    one.pipeline.cancel()


async def test_room_is_waited_for() -> None:
    one = _Recording()
    waiting = asyncio.create_task(one.pipeline.has_room(60))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await one.recorded(0)
    assert await waiting
    one.pipeline.cancel()
    assert await one.pipeline.is_empty(0)
