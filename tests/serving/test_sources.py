"""Sources in their time: one that is slow is left out, and not asked again while it is at work."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from prometheus_client import REGISTRY

from domain.errors import TransientError
from recommend.candidates import SOURCES, Source, Sourced
from serving.sources import Asking, InTime
from tests.conftest import eventually

_FOUND = Sourced(np.array([1], np.int32), np.array([1], np.float32))
_PLENTY = dict.fromkeys(SOURCES, 60.0)


class Slow:
    """A source that comes to its end when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.release = threading.Event()

    def __call__(self) -> Sourced:
        self.asked += 1
        assert self.release.wait(60)
        return _FOUND


@pytest.fixture
def slow() -> Iterator[Slow]:
    source = Slow()
    yield source
    source.release.set()


def _left_out(source: Source) -> float:
    return REGISTRY.get_sample_value("footfall_recommendation_late_sources_total", {"source": source}) or 0


def _of(**sources: Callable[[], Sourced]) -> Callable[[Asking], set[Source]]:
    return lambda asking: set(asking.ask({name: sources[name] for name in SOURCES if name in sources}))


async def test_a_source_that_is_over_its_budget_is_left_out_and_counted(slow: Slow) -> None:
    answers, before = InTime[set[Source]](2, _PLENTY | {"content": 0.05}), _left_out("content")
    make = _of(next=lambda: _FOUND, content=slow, trending=lambda: _FOUND)
    assert [await answers.run(make) for _ in range(3)] == [{"next", "trending"}] * 3
    assert await asyncio.gather(*(answers.run(make) for _ in range(8))) == [{"next", "trending"}] * 8
    assert _left_out("content") == before + 11
    # It holds one thread, not one an answer.
    assert slow.asked == 1
    slow.release.set()

    async def asked_again() -> None:
        assert await answers.run(make) == {"next", "content", "trending"}

    await eventually(asked_again)


async def test_all_of_them_may_hang(slow: Slow) -> None:
    answers = InTime[set[Source]](2, dict.fromkeys(SOURCES, 0.01))
    assert await answers.run(lambda asking: set(asking.ask(dict.fromkeys(SOURCES, slow)))) == set()
    assert slow.asked == len(SOURCES)


async def test_a_source_that_fails_is_left_out() -> None:
    def fail() -> Sourced:
        raise ZeroDivisionError

    assert await InTime[set[Source]](2, _PLENTY).run(_of(content=fail, next=lambda: _FOUND)) == {"next"}


async def test_what_no_answer_can_do_without_is_told() -> None:
    def lack() -> Sourced:
        raise TransientError("no index")

    with pytest.raises(TransientError):
        await InTime[set[Source]](2, _PLENTY).run(_of(collaborative=lack, next=lambda: _FOUND))
