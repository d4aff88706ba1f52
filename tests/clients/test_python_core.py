"""What the Python clients decide without a network: batches, waits, and what an answer means."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.event_types import load_event_weights
from domain.ids import made_at
from footfall_client import EventType, Interaction, InvalidInteractionError, Limits, QueueFullError, Rejection
from footfall_client.interaction import encoded, new_id, stamped
from footfall_client.outbox import Batch, Entry, Outbox
from footfall_client.verdict import Again, Answer, Refused, Settled, Split, judge

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def entry(at: float, name: str = "cup") -> Entry:
    one = stamped(Interaction(account_id="alice", event_type="view", ref_id=name))
    return Entry(one, encoded(one), at)


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    return Answer(status, headers, b"" if body is None else json.dumps(body).encode())


class Server:
    """Answers as Footfall does, and in all the ways in which an answer is lost; remembers what it took."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.recorded: list[str] = []
        self.requests = 0

    def post(self, batch: Batch, mood: str) -> Answer | None:
        self.requests += 1
        if mood == "lost before":
            return None
        if mood.isdigit():
            return answer(int(mood), {"detail": "later"}, **({} if mood == "500" else {"retry-after": "2"}))
        said = self._took(batch, strict=mood == "strict")
        return None if mood == "lost after" else said

    def _took(self, batch: Batch, *, strict: bool) -> Answer:
        """`strict` is all or nothing."""
        if len(batch.body) > self.most_bytes:
            return answer(413, {"detail": "too large"})
        sent = json.loads(batch.body)["interactions"]
        if any(one["ref_id"] == "poison" for one in sent):
            return answer(400, {"detail": "The body is not JSON"})
        bad = [
            {"index": at, "pointer": "#", "reason": "bad"} for at, one in enumerate(sent) if one["ref_id"] == "bad"
        ]
        if len(bad) == len(sent) or (strict and bad):
            return answer(422, {"detail": "none is valid", "errors": bad})
        good = [one["event_id"] for one in sent if one["ref_id"] != "bad"]
        fresh = [one for one in good if one not in self.recorded]
        self.recorded += fresh
        figures = {"accepted": len(fresh), "duplicates": len(good) - len(fresh), "rejected": len(bad), "errors": bad}
        return answer(202, figures)


MOODS = ["well"] * 6 + ["lost before", "lost after", "strict", "429", "503", "500"]


class Play:
    """An outbox before such a server, with a clock of its own."""

    def __init__(self, limits: Limits, server: Server, moods: list[str]) -> None:
        self.limits, self.server, self.moods = limits, server, iter(moods)
        self.outbox = Outbox(limits, jitter=lambda most_s: most_s / 2)
        self.now = 0.0
        self.taken: list[Entry] = []
        self.rejected: list[Rejection] = []

    def record(self, name: str) -> None:
        one = entry(self.now, name)
        while True:
            try:
                self.outbox.add(one)
            except QueueFullError:
                assert self.outbox.recorded - self.outbox.settled == self.limits.max_queued
                assert self.step()
            else:
                self.taken.append(one)
                return

    def flush(self) -> None:
        up_to = self.outbox.hurry()
        while self.outbox.settled < up_to:
            assert self.step()
        gone = self.rejected_ids()
        for one in self.taken:
            event_id = one.interaction.event_id
            assert event_id in gone or str(event_id) in self.server.recorded

    def step(self) -> bool:
        """Whether there was anything to do."""
        found = self.outbox.next(self.now)
        if isinstance(found, float):
            assert found > 0
            self.now += found
        if isinstance(found, Batch):
            self._send(found)
        return found is not None

    def _send(self, batch: Batch) -> None:
        assert len(batch.entries) <= self.limits.max_batch
        assert len(batch.body) <= self.limits.max_body_bytes
        said = self.server.post(batch, next(self.moods, "well"))
        if said is None:
            self.outbox.failed("lost", self.now)
        else:
            self.rejected.extend(self.outbox.answered(said, self.now, NOW))
        # What is acknowledged are the oldest, but for the rejected ones.
        gone, stats = self.rejected_ids(), self.outbox.stats
        others = [one.interaction.event_id for one in self.taken if one.interaction.event_id not in gone]
        unsettled = [one.event_id for one in self.outbox.unsettled()]
        assert unsettled == others[stats.accepted + stats.duplicates :]
        assert self.outbox.settled <= self.outbox.recorded - len(unsettled)

    def rejected_ids(self) -> set[UUID | None]:
        return {one.interaction.event_id for one in self.rejected}


@given(
    names=st.lists(st.sampled_from(["cup", "cup", "cup", "bad", "poison", "long " * 40]), max_size=60),
    moods=st.lists(st.sampled_from(MOODS), max_size=80),
    limits=st.builds(
        Limits,
        max_queued=st.integers(1, 20),
        max_batch=st.integers(1, 15),
        max_body_bytes=st.integers(600, 3_000),
        linger_s=st.sampled_from([0.0, 0.2, 5.0]),
    ),
    most_bytes=st.integers(300, 3_000),
    flushes=st.sets(st.integers(0, 59)),
)
@example(
    names=["cup", "bad", "cup", "cup", "cup"],
    moods=["strict"],
    limits=Limits(max_batch=3, linger_s=5),
    most_bytes=3_000,
    flushes={2},
)
@settings(max_examples=200)
def test_all_is_settled_once_whatever_the_server_does(
    names: list[str], moods: list[str], limits: Limits, most_bytes: int, flushes: set[int]
) -> None:
    play = Play(limits, Server(most_bytes), moods)
    for place, name in enumerate(names):
        play.record(name)
        if place in flushes:
            play.flush()
    play.outbox.close()
    while play.step():
        assert play.server.requests < 5_000
    fit = [one for one in play.taken if len(Batch([one]).body) <= most_bytes]
    expected = [one.interaction for one in fit if one.interaction.ref_id not in ("bad", "poison")]
    assert play.server.recorded == [str(one.event_id) for one in expected]
    assert len(play.rejected_ids()) == len(play.rejected) == len(play.taken) - len(expected)
    stats = play.outbox.stats
    assert (stats.recorded, stats.rejected) == (len(names), len(play.rejected))
    assert stats.accepted + stats.duplicates == len(expected)
    assert (play.outbox.settled, play.outbox.unsettled()) == (len(names), [])


def test_an_interaction_lingers_until_there_are_enough_or_somebody_is_in_a_hurry() -> None:
    outbox = Outbox(Limits(max_batch=3, linger_s=0.2))
    assert outbox.next(10.0) is None
    assert outbox.add(entry(10.0))
    assert outbox.next(10.05) == pytest.approx(0.15)
    assert not outbox.add(entry(10.1))
    assert isinstance(outbox.next(10.2), Batch)
    outbox = Outbox(Limits(max_batch=3, linger_s=0.2))
    assert [outbox.add(entry(10.0)) for _ in range(4)] == [True, False, True, False]
    first = outbox.next(10.0)
    assert isinstance(first, Batch)
    assert len(first.entries) == 3
    outbox.answered(answer(202, {"accepted": 3, "duplicates": 0}), 10.0, NOW)
    assert outbox.next(10.0) == pytest.approx(0.2)
    assert outbox.hurry() == 4
    assert isinstance(outbox.next(10.0), Batch)


def test_bytes_make_a_batch_too() -> None:
    size = len(entry(0).line)
    outbox = Outbox(Limits(max_body_bytes=3 * size, linger_s=60))
    outbox.add(entry(0))
    assert isinstance(outbox.next(0.0), float)
    assert not outbox.add(entry(0))
    assert outbox.add(entry(0))
    batch = outbox.next(0.0)
    assert isinstance(batch, Batch)
    assert len(batch.entries) == 2
    with pytest.raises(InvalidInteractionError, match="more than a request"):
        outbox.add(entry(0, "x" * 3 * size))


def _waits(outbox: Outbox, times: int, said: Answer | None) -> Iterator[float]:
    for _ in range(times):
        now = 100.0
        while not isinstance(step := outbox.next(now), Batch):
            assert step is not None
            now += step
        if said is None:
            outbox.failed("no connection", now)
        else:
            outbox.answered(said, now, NOW)
        wait_s = outbox.next(now)
        assert isinstance(wait_s, float)
        yield wait_s


def test_waits_grow_up_to_a_bound_and_are_as_long_as_the_server_asks() -> None:
    outbox = Outbox(Limits(linger_s=0), jitter=lambda most_s: most_s)
    outbox.add(entry(0))
    assert list(_waits(outbox, 9, None)) == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 16, 30, 30])
    outbox = Outbox(Limits(linger_s=0), jitter=lambda _: 0.0)
    outbox.add(entry(0))
    assert list(_waits(outbox, 2, answer(503, **{"retry-after": "7"}))) == pytest.approx([7, 7])
    outbox = Outbox(Limits(linger_s=0))
    outbox.add(entry(0))
    assert all(60 <= wait_s <= 65 for wait_s in _waits(outbox, 20, answer(429, **{"retry-after": "60"})))


def test_closing_tries_at_once_unless_the_server_asked_to_wait() -> None:
    for said, wait in ((None, False), (answer(429, **{"retry-after": "60"}), True)):
        outbox = Outbox(Limits(linger_s=0))
        outbox.add(entry(0))
        list(_waits(outbox, 9, said))
        outbox.close()
        assert isinstance(outbox.next(100.0), Batch) is not wait


def test_what_an_answer_means() -> None:
    figures = {"accepted": 1, "duplicates": 1}
    two = {"index": 1, "pointer": "#/interactions/1/metadata/price", "reason": "dear"}
    more = {"index": 1, "pointer": "#/interactions/1/ref_id", "reason": "empty"}
    assert judge(answer(202, figures), 2, NOW) == Settled(1, 1, {})
    assert judge(answer(202, {**figures, "errors": [two, more]}), 3, NOW) == Settled(
        1, 1, {1: "metadata/price: dear; ref_id: empty"}
    )
    assert judge(answer(422, {"errors": [two]}), 2, NOW) == Refused(422, {1: "metadata/price: dear"})
    assert judge(answer(413), 2, NOW) == Split(too_large=True)
    assert judge(answer(413), 1, NOW) == Refused(413, {0: "413 Request Entity Too Large"})
    for status in (400, 421, 422):
        assert judge(answer(status), 2, NOW) == Split(too_large=False)
    for status in (401, 403, 404, 405, 415, 308):
        assert isinstance(judge(answer(status), 2, NOW), Refused)
    for status in (408, 425, 429, 500, 502, 503, 504, 599):
        assert isinstance(judge(answer(status), 2, NOW), Again)


@pytest.mark.parametrize(
    "said",
    [
        answer(200, {"accepted": 2, "duplicates": 0}),
        answer(202),
        Answer(202, {}, b"<html>welcome to this hotel's network</html>"),
        answer(202, [1, 2]),
        answer(202, {"accepted": 1, "duplicates": 0}),
        answer(202, {"accepted": "2", "duplicates": 0}),
    ],
)
def test_only_footfalls_own_word_is_an_acknowledgement(said: Answer) -> None:
    assert isinstance(judge(said, 2, NOW), Again)


@pytest.mark.parametrize(
    ("value", "asked_s"),
    [
        ("7", 7),
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9),
        (format_datetime(NOW - timedelta(seconds=9), usegmt=True), 0),
        ("99999999", 300),
        ("soon", None),
        ("-3", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, asked_s: float | None) -> None:
    verdict = judge(answer(503, **{"retry-after": value}), 1, NOW)
    assert isinstance(verdict, Again)
    assert verdict.asked_s == asked_s


def test_ids_are_of_version_7_and_of_now() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    for one in ids:
        assert abs((made_at(one) - datetime.now(UTC)).total_seconds()) < 60


def test_the_types_are_those_with_a_weight() -> None:
    assert set(get_args(EventType)) == set(load_event_weights())


def test_limits_that_make_no_sense_are_refused() -> None:
    for wrong in ({"max_batch": 0}, {"max_batch": 1_001}, {"max_queued": 0}, {"linger_s": -1}, {"max_body_bytes": 3}):
        with pytest.raises(ValueError, match=r"must be|max_batch is"):
            Limits(**wrong)
