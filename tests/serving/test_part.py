"""A part that may be gone: its time holds whatever it does, and one question at a time tries it again."""

import asyncio

import pytest

from domain.errors import PermanentError, TransientError
from serving.part import Part


class Asked:
    def __init__(self) -> None:
        self.times = 0
        self.error: Exception | None = None

    async def __call__(self) -> str:
        self.times += 1
        if self.error is not None:
            raise self.error
        return "answer"


@pytest.fixture
def asked() -> Asked:
    return Asked()


async def test_one_that_does_not_even_end_when_it_is_cancelled_holds_nobody_up() -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(10):
        await Part("stubborn", 0.01).ask(stubborn)
    released.set()


async def test_one_that_failed_is_left_alone_and_then_tried_by_one(asked: Asked) -> None:
    now_s = 0.0
    one = Part("part", 10, lambda: now_s)
    assert await one.ask(asked) == "answer"
    asked.error = TransientError("gone")
    assert [await one.ask(asked) for _ in range(3)] == [None] * 3
    assert asked.times == 2
    now_s = 5.0
    assert await asyncio.gather(*(one.ask(asked) for _ in range(3))) == [None] * 3
    assert asked.times == 3
    now_s = 30.0
    asked.error = None
    assert await one.ask(asked) == "answer"
    assert await one.ask(asked) == "answer"


async def test_a_question_that_has_no_answer_says_nothing_about_others(asked: Asked) -> None:
    one = Part("part", 10)
    asked.error = PermanentError("bytes that are not what was written")
    assert await one.ask(asked) is None
    asked.error = None
    assert await one.ask(asked) == "answer"
