"""The harness itself: what it would find, and that its seeds are what they say."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from subprocess import PIPE
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from domain.actions import Action, actions_of
from domain.block import encode_block
from domain.week import to_us, week_of
from store.blocks.protocol import Block
from tests.factories import interaction, now_us
from tests.faults.apply import APPLY
from tests.faults.check import Verdict, compare, wrong_signals
from tests.faults.clocks import Clocks
from tests.faults.load import Sent
from tests.faults.report import Run, table
from tests.faults.schedule import LOAD_S, names, schedule

DAY = date(2026, 5, 4)
VIEW = 300_000  # what a view scores, in millionths


def _kept(ids: list[UUID], *, sealed: bool = False) -> list[Block]:
    """A block each, as one by one they are accepted."""
    at = to_us(datetime(2026, 5, 4, 12, tzinfo=UTC))
    events = [interaction(event_id=one.bytes, ref_id="cup", occurred_at=at) for one in ids]
    return [Block("alice", week_of(at), uuid4(), 1, encode_block([one]), sealed) for one in events]


@pytest.fixture
def ids() -> list[UUID]:
    return [uuid4() for _ in range(3)]


@pytest.fixture
def judged(ids: list[UUID]) -> Callable[..., Verdict]:
    """A right state, of which a test changes a part."""

    def judge(**changed: Any) -> Verdict:
        views = (3 * VIEW, 3, 0, 0, 0)
        state: dict[str, Any] = {
            "sent": Sent(bodies={one: {} for one in ids}),
            "must_have": set(ids),
            "blocks": _kept(ids),
            "totals": {"cup": views},
            "daily": {(DAY, "cup"): views},
            "signals": [],  # it was long ago
        }
        return compare(**{**state, **changed})

    return judge


def test_what_is_right_is_right(judged: Callable[..., Verdict]) -> None:
    verdict = judged()
    assert verdict.faults == []
    assert verdict.events == 3


def test_a_lost_event_is_found(judged: Callable[..., Verdict], ids: list[UUID]) -> None:
    verdict = judged(blocks=_kept(ids[1:]))
    assert [str(ids[0]) in one for one in verdict.lost] == [True]
    assert len(verdict.miscounted) == 2


def test_an_unacknowledged_event_may_be_missing(judged: Callable[..., Verdict], ids: list[UUID]) -> None:
    views = (2 * VIEW, 2, 0, 0, 0)
    changed = {"blocks": _kept(ids[1:]), "totals": {"cup": views}, "daily": {(DAY, "cup"): views}}
    assert judged(must_have=set(ids[1:]), **changed).faults == []


def test_a_doubled_event_is_found(judged: Callable[..., Verdict], ids: list[UUID]) -> None:
    verdict = judged(blocks=_kept([*ids, ids[0]]))
    assert [str(ids[0]) in one for one in verdict.doubled] == [True]


def test_a_delta_that_was_written_again_after_its_fold_is_no_double(
    judged: Callable[..., Verdict], ids: list[UUID]
) -> None:
    assert judged(blocks=[*_kept(ids), *_kept(ids, sealed=True)]).faults == []


def test_a_foreign_event_is_found(judged: Callable[..., Verdict], ids: list[UUID]) -> None:
    foreign = uuid4()
    verdict = judged(blocks=_kept([*ids, foreign]))
    assert [str(foreign) in one for one in verdict.foreign] == [True]


@pytest.mark.parametrize("views", [2, 4])
def test_a_miscount_is_found(judged: Callable[..., Verdict], views: int) -> None:
    wrong = (views * VIEW, views, 0, 0, 0)
    assert len(judged(totals={"cup": wrong}).miscounted) == 1
    assert len(judged(daily={(DAY, "cup"): wrong}).miscounted) == 1
    assert len(judged(daily={}).miscounted) == 1


def _signals(*, days_ago: float = 1, **fields: object) -> list[Action]:
    return actions_of([interaction(occurred_at=now_us() - round(days_ago * 86_400_000_000), **fields)])


def test_wrong_signals_are_found(judged: Callable[..., Verdict]) -> None:
    (one,), (other,) = _signals(), _signals()
    assert list(wrong_signals([one, other], [other, one])) == []
    assert list(wrong_signals([one, other], [one])) == [f"no signal: {other}"]
    assert list(wrong_signals([one], [one, one])) == [f"a signal 2 times: {one}"] * 2
    assert list(wrong_signals([one], [one, other])) == [f"a signal of what was not done: {other}"]
    assert list(wrong_signals([one], [replace(one, item_id="pot")])) == [
        f"a signal of what was not done: {replace(one, item_id='pot')}"
    ]
    assert judged(signals=[one]).miscounted == [f"a signal of what was not done: {one}"]


def test_signals_may_be_missing_where_they_are_not_kept() -> None:
    done = _signals(days_ago=27) + _signals(days_ago=40) + _signals(event_type="unheard_of")
    assert list(wrong_signals(done, [])) == []
    assert list(wrong_signals(done, done[:1])) == []
    assert list(wrong_signals(done, done[2:])) == [f"a signal of what was not done: {done[2]}"]


def test_a_seed_is_the_same_every_time_and_thirty_have_every_kind() -> None:
    schedules = [schedule(seed) for seed in range(1, 31)]
    assert schedules == [schedule(seed) for seed in range(1, 31)]
    assert {fault.name for faults in schedules for fault in faults} == set(names())
    assert {fault.kind for faults in schedules for fault in faults} == set(APPLY)
    assert all(0 < fault.at_s < LOAD_S for faults in schedules for fault in faults)


@pytest.mark.skipif(not Clocks.can_be_stepped, reason="libfaketime is for Linux")
def test_a_clock_is_stepped_and_put_back_and_no_other_is(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    program = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
    watch = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **clocks.environment("watch")}, stdin=PIPE, stdout=PIPE, text=True,
    )  # fmt: skip

    def days_off() -> tuple[int, int]:
        assert watch.stdin is not None
        assert watch.stdout is not None
        print(file=watch.stdin, flush=True)
        wall, monotonic = map(float, watch.stdout.readline().split())
        return round((wall - time.time()) / 86_400), round((monotonic - time.monotonic()) / 86_400)

    with watch:
        assert days_off() == (0, 0)
        for by in (1, -1, 0):
            clocks.step("other", -by * 86_400)
            clocks.step("watch", by * 86_400)
            while (off := days_off()) != (by, 0):  # at the latest in the next second; pytest's timeout ends it
                assert off[1] == 0
                time.sleep(0.1)
        watch.kill()
    clocks.clear_up_after(watch.pid)
    assert not list(Path("/dev/shm").glob(f"*faketime*_{watch.pid}"))


def test_the_table_counts_a_seed_under_each_of_its_kinds() -> None:
    faults = schedule(1)
    run = Run(1, faults, sent=10, acknowledged=9, verdicts=[Verdict(lost=["lost: one"])])
    rows = table([run]).splitlines()
    assert f"| {faults[0].name} | 1 | 1 | 10 | 9 | 1 | 0 | 0 |" in rows
    assert rows[-1] == f"| all | {len(faults)} | 1 | 10 | 9 | 1 | 0 | 0 |"
    assert len(rows) == len(names()) + 3
