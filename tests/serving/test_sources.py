"""Sources in their time: one that is slow is left out, and not asked again while it is at work."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from prometheus_client import REGISTRY

from domain.errors import TransientError
from recommend.candidates import SOURCES, Source, Sourced
from serving.sources import Sources

_FOUND = Sourced(np.array([1], np.int32), np.array([1], np.float32))


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets slow sources come to their end."""
    event = threading.Event()
    yield event
    event.set()


def _left_out(source: Source) -> float:
    return REGISTRY.get_sample_value("footfall_recommendation_late_sources_total", {"source": source}) or 0


def _ask(sources: Sources, **asked: Callable[[], Sourced]) -> set[str]:
    return set(sources.ask({name: asked[name] for name in SOURCES if name in asked}))


def test_a_source_that_is_over_its_budget_is_left_out_and_counted(release: threading.Event) -> None:
    begun = []

    def slow() -> Sourced:
        begun.append(1)
        release.wait(60)
        return _FOUND

    sources, before = Sources(2, dict.fromkeys(SOURCES, 10.0) | {"content": 0.05}), _left_out("content")
    for _ in range(3):
        assert _ask(sources, next=lambda: _FOUND, content=slow, trending=lambda: _FOUND) == {"next", "trending"}
    assert _left_out("content") == before + 3
    # It holds one thread, not one an answer.
    assert len(begun) == 1
    release.set()
    while sources.ask({"content": lambda: _FOUND}) == {}:
        pass


def test_a_source_that_fails_is_left_out() -> None:
    def fail() -> Sourced:
        raise ZeroDivisionError

    assert _ask(Sources(2), content=fail, next=lambda: _FOUND) == {"next"}


def test_what_no_answer_can_do_without_is_told() -> None:
    def lack() -> Sourced:
        raise TransientError("no index")

    with pytest.raises(TransientError):
        _ask(Sources(2), collaborative=lack, next=lambda: _FOUND)
