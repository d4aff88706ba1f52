import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from domain.errors import InvalidInputError, TransientError
from domain.ids import id_text, new_id_bytes
from runtime.posting import Outcome, Poster, UnexpectedAnswerError, new_client
from tests.runtime.importing.faulty_server import Cut, FaultyServer, Interaction, Reply


def items(count: int, account: str = "a") -> list[bytes]:
    return [
        json.dumps(
            {"account_id": f"{account}{n}", "event_id": id_text(new_id_bytes()), "occurred_at": "2026-01-02"}
        ).encode()
        for n in range(count)
    ]


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def poster(server: FaultyServer, time: Time) -> AsyncIterator[Poster]:
    async with new_client(server.url) as client:
        yield Poster(client, retry_for_s=60, sleep=time.sleep, clock=time.clock)


async def test_counts(poster: Poster) -> None:
    rows = items(3)
    assert await poster.submit(rows) == Outcome(accepted=3)
    assert await poster.submit([*rows, *items(1)]) == Outcome(accepted=1, duplicates=3)


async def test_429_waits_as_long_as_asked(server: FaultyServer, poster: Poster, time: Time) -> None:
    server.faults.append(Reply(429, headers={"Retry-After": "7"}))
    assert await poster.submit(items(2)) == Outcome(accepted=2)
    assert time.waits == [7]
    assert server.requests[0] == server.requests[1]


async def test_retry_after_may_be_a_date(server: FaultyServer, poster: Poster, time: Time) -> None:
    at = datetime.now(UTC) + timedelta(seconds=40)
    server.faults.append(Reply(503, headers={"Retry-After": format_datetime(at, usegmt=True)}))
    await poster.submit(items(1))
    assert 20 < time.waits[0] <= 40


@pytest.mark.parametrize("value", ["soon", "\u00b2", "-1", ""])
async def test_a_retry_after_that_says_nothing_is_passed_over(
    server: FaultyServer, poster: Poster, time: Time, value: str
) -> None:
    server.faults.append(Reply(429, headers={"Retry-After": value}))
    assert await poster.submit(items(1)) == Outcome(accepted=1)
    assert 0.125 <= time.waits[0] <= 0.25


async def test_503_without_it_backs_off(server: FaultyServer, poster: Poster, time: Time) -> None:
    server.faults.extend([Reply(503)] * 5)
    assert await poster.submit(items(1)) == Outcome(accepted=1)
    assert all(low <= wait <= 2 * low for wait, low in zip(time.waits, (0.125, 0.25, 0.5, 1, 2), strict=True))


async def test_a_cut_connection_is_tried_again_with_the_same_ids(server: FaultyServer, poster: Poster) -> None:
    server.faults.extend([Cut(recorded=False), Cut(recorded=True)])
    assert await poster.submit(items(3)) == Outcome(duplicates=3)
    assert server.requests[0] == server.requests[1] == server.requests[2]
    assert len(server.recorded) == 3


async def test_without_progress_it_gives_up_and_says_why(server: FaultyServer, poster: Poster, time: Time) -> None:
    server.faults.extend([Reply(503, {"detail": "no room"})] * 100)
    with pytest.raises(TransientError, match="no progress for 60 s; the last attempt: 503 Said, no room"):
        await poster.submit(items(1))
    assert time.now == pytest.approx(60)


async def test_progress_starts_the_time_anew(server: FaultyServer, poster: Poster, time: Time) -> None:
    for _ in range(3):
        server.faults.extend([Reply(429, headers={"Retry-After": "40"}), None])
        await poster.submit(items(1))
    assert time.now == 120


async def test_no_server_at_all(time: Time) -> None:
    async with new_client("http://127.0.0.1:1") as client:
        poster = Poster(client, retry_for_s=5, sleep=time.sleep, clock=time.clock)
        with pytest.raises(TransientError, match="ConnectError"):
            await poster.submit(items(1))


async def test_refused_ones_are_named(server: FaultyServer, poster: Poster) -> None:
    def third(one: Interaction) -> str | None:
        return "is third" if one["account_id"] == "a2" else None

    server.invalid = third
    assert await poster.submit(items(4)) == Outcome(3, 0, {2: "account_id: is third"})


async def test_all_refused(server: FaultyServer, poster: Poster) -> None:
    server.invalid = lambda _: "no"
    assert await poster.submit(items(2)) == Outcome(refused={0: "account_id: no", 1: "account_id: no"})
    assert len(server.requests) == 1


async def test_pointers_alone_name_the_row(server: FaultyServer, poster: Poster) -> None:
    errors = [{"pointer": f"#/interactions/0/{name}", "reason": "bad"} for name in ("ref_id", "metadata/price")]
    server.faults.append(Reply(422, {"errors": errors}))
    assert await poster.submit(items(1)) == Outcome(refused={0: "ref_id: bad; metadata/price: bad"})


async def test_too_large_is_halved_until_it_fits(server: FaultyServer, poster: Poster) -> None:
    rows = items(8)
    server.max_body_bytes = 4 * len(rows[0])
    assert await poster.submit(rows) == Outcome(accepted=8)
    sent = [json.loads(row)["event_id"] for row in rows]
    assert [one["event_id"] for one in server.recorded.values()] == sent


async def test_a_row_that_is_too_large_by_itself_is_refused_alone(server: FaultyServer, poster: Poster) -> None:
    rows = [*items(2), *items(1, account="a" * 5_000), *items(2)]
    server.max_body_bytes = 2_000
    assert await poster.submit(rows) == Outcome(4, 0, {2: "The body is over 2000 bytes."})


async def test_a_fault_that_names_no_row_is_narrowed_down(server: FaultyServer, poster: Poster) -> None:
    server.faults.extend([Reply(400, {"detail": "not JSON"}), None, Reply(400), Reply(400, {"detail": "this"}), None])
    assert await poster.submit(items(4)) == Outcome(3, 0, {2: "this"})


@pytest.mark.parametrize("reply", [Reply(404), Reply(401, {"detail": "who?"}), Reply(202, {"hello": 1}), Reply(302)])
async def test_what_no_footfall_answers_is_an_error_at_once(
    server: FaultyServer, poster: Poster, time: Time, reply: Reply
) -> None:
    server.faults.append(reply)
    with pytest.raises(UnexpectedAnswerError, match=f"answered {reply.status}"):
        await poster.submit(items(2))
    assert time.waits == []


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "http://a:b", ""])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(InvalidInputError):
        new_client(url)
