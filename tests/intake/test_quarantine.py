"""Quarantine: what is tried again comes back as it was, once, for the one fan-out that lacks it."""

from uuid import UUID

import pytest

from domain.errors import TransientError
from domain.ids import made_at, new_id
from domain.interaction import Interaction
from intake.log import IntakeLog, IntakeRow, Poison
from intake.quarantine import Choice, Quarantine
from store.postgres import Pool
from tests.factories import new_interaction

FAN_OUTS = ["persist", "popularity", "feeds"]


@pytest.fixture
def log(pool: Pool) -> IntakeLog:
    return IntakeLog(pool)


@pytest.fixture
def quarantine(pool: Pool) -> Quarantine:
    return Quarantine(pool)


async def _set_aside(log: IntakeLog, *accounts: str, fan_out: str = "popularity", reason: str = "no") -> IntakeRow:
    """A row, one interaction an account, all applied and all in quarantine for one fan-out; released."""
    batch = new_id()
    await log.append(batch, [new_interaction(account_id=account) for account in accounts])
    (row,) = await log.read(batch)
    for name in FAN_OUTS:
        poison = [Poison(one, reason) for one in row.interactions] if name == fan_out else []
        await log.mark_alone(name, [IntakeRow(row.intake_id, row.accepted_at, [], poison)])
    assert (await log.release(batch, FAN_OUTS)).released_rows == 1
    return row


def _id(interaction: Interaction) -> UUID:
    return UUID(bytes=interaction.event_id)


async def test_found_by_every_condition(log: IntakeLog, quarantine: Quarantine) -> None:
    row = await _set_aside(log, "alice", "bob", reason="Too LARGE")
    other = await _set_aside(log, "alice", fan_out="feeds")

    async def found(choice: Choice) -> list[Interaction]:
        return [one.interaction for one in await quarantine.find(choice)]

    assert sorted(await found(Choice()), key=_id) == sorted([*row.interactions, *other.interactions], key=_id)
    assert await found(Choice([_id(row.interactions[1])])) == [row.interactions[1]]
    assert await found(Choice(fan_out="feeds")) == other.interactions
    assert len(await found(Choice(reason="too large"))) == 2
    assert len(await found(Choice(account_id="alice"))) == 2
    assert len(await quarantine.find(Choice(), limit=1)) == 1


async def test_tried_again_it_is_a_row_for_its_fan_out_alone(
    log: IntakeLog, quarantine: Quarantine, pool: Pool
) -> None:
    old = await _set_aside(log, "alice", "bob")
    (retried,) = await quarantine.retry(Choice(), FAN_OUTS, 10)
    assert retried.events == 2
    (row,) = await log.read(retried.batch_id)
    assert sorted(row.interactions, key=_id) == sorted(old.interactions, key=_id)
    assert row.intake_id != old.intake_id  # else persist's block of the old row would be taken for this one's
    assert made_at(row.intake_id) == made_at(old.intake_id)
    assert {name for name in FAN_OUTS if await log.marked(name, [row.intake_id])} == {"persist", "feeds"}
    assert await quarantine.find(Choice()) == []
    filed = await pool.fetch("SELECT DISTINCT intake_id FROM event_ledger")
    assert [one["intake_id"] for one in filed] == [row.intake_id]
    assert await quarantine.retry(Choice(), FAN_OUTS, 10) == []


async def test_rows_stay_apart_and_batches_are_bounded(log: IntakeLog, quarantine: Quarantine) -> None:
    for _ in range(5):
        await _set_aside(log, "alice", "bob")
    await _set_aside(log, "alice", fan_out="feeds")
    retried = await quarantine.retry(Choice(), FAN_OUTS, 4)
    assert sum(one.events for one in retried) == 11
    assert all(one.events <= 4 for one in retried)
    rows = [row for one in retried for row in await log.read(one.batch_id)]
    assert sorted(len(row.interactions) for row in rows) == [1, 2, 2, 2, 2, 2]


async def test_what_fails_half_way_leaves_all_in_quarantine(
    log: IntakeLog, quarantine: Quarantine, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _set_aside(log, "alice")
    await _set_aside(log, "bob")
    ids = iter([new_id(), new_id(), new_id()])

    def fails_at_the_second(_: UUID) -> UUID:
        one = next(ids)
        if next(ids, None) is None:
            raise TransientError("cut off")
        return one

    monkeypatch.setattr("intake.quarantine.new_id_of_time", fails_at_the_second)
    with pytest.raises(TransientError):
        await quarantine.retry(Choice(), FAN_OUTS, 10)
    assert len(await quarantine.find(Choice())) == 2
    assert await pool.fetchval("SELECT count(*) FROM intake_log") == 0


async def test_what_is_given_up_is_kept_with_its_reason(log: IntakeLog, quarantine: Quarantine, pool: Pool) -> None:
    row = await _set_aside(log, "alice", "bob")
    assert await quarantine.drop(Choice(account_id="bob"), "no such product") == 1
    assert [one.account_id for one in await quarantine.find(Choice())] == ["alice"]
    kept = await pool.fetch("SELECT event_id, fan_out, reason FROM discarded_event")
    assert [tuple(one) for one in kept] == [(_id(row.interactions[1]), "popularity", "no such product")]
