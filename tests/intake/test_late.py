"""Late events that come again after the ledger has forgotten them."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.persist import delta_blocks
from domain.errors import CorruptBlockError, TransientError
from domain.ids import new_id
from domain.interaction import Interaction
from domain.week import week_of
from intake.commit import Accepted, GroupCommit
from intake.dispatch import Dispatcher
from intake.late import LateEvents
from intake.ledger import LedgerDays, LedgerPartitions
from intake.log import IntakeLog, NewInteraction
from store.blocks.folding import fold_week
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import Block
from store.postgres import Pool
from tests.factories import interaction, now_us

WINDOW_DAYS = 7
LONG_AGO_US = 40 * 86_400_000_000
FORGOTTEN = timedelta(days=WINDOW_DAYS + 2)


class Watched(PostgresBlockStore):
    """The real store; counts the questions, and may not answer."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.questions = 0
        self.down = False

    async def read_exact(self, account_id: str, first_week: int, last_week: int) -> list[Block]:
        self.questions += 1
        if self.down:
            raise TransientError("no node in time")
        return await super().read_exact(account_id, first_week, last_week)


@pytest.fixture
def blocks(pool: Pool) -> Watched:
    return Watched(pool)


@pytest.fixture
async def commit(pool: Pool, blocks: Watched) -> GroupCommit:
    """The front door of a Footfall that is older than its window."""
    await pool.execute("UPDATE schema_migration SET applied_at = now() - interval '30 days'")
    return _commit(pool, blocks)


def _commit(pool: Pool, blocks: Watched) -> GroupCommit:
    async def start(*_: object) -> None:
        """No worker: the tests persist and release by themselves."""

    dispatcher = Dispatcher(start, max_events=1_000, max_age_s=60, pace_s=0, give_up_s=1)
    return GroupCommit(IntakeLog(pool), dispatcher, LateEvents(pool, blocks, WINDOW_DAYS), max_events=500)


def _late(**fields: object) -> NewInteraction:
    return _filed(interaction(**{"occurred_at": now_us() - LONG_AGO_US, **fields}))


def _filed(one: Interaction) -> NewInteraction:
    return LedgerDays(WINDOW_DAYS).file(one, now_us())


async def _carry(pool: Pool, blocks: Watched, accepted: Accepted) -> None:
    """What the batch's workflow does."""
    assert accepted.batch_id is not None
    log = IntakeLog(pool)
    rows = await log.read(accepted.batch_id)
    await blocks.write([block for row in rows for block in delta_blocks(row)])
    await log.mark_alone("persist", rows)
    await log.release(accepted.batch_id, ["persist"])


async def _forget(pool: Pool) -> None:
    await LedgerPartitions(pool, WINDOW_DAYS).drop(datetime.now(UTC).date() + FORGOTTEN)


async def test_a_forgotten_id_is_known_from_its_block(pool: Pool, blocks: Watched, commit: GroupCommit) -> None:
    old = _late()
    await _carry(pool, blocks, await commit.submit([old]))
    await _forget(pool)
    assert await pool.fetchval("SELECT count(*) FROM event_ledger") == 0
    assert await commit.submit([old, old]) == Accepted(0, 2, None)
    accepted = await commit.submit([_late(), old, _late()])
    assert (accepted.accepted, accepted.duplicates) == (2, 1)
    assert accepted.batch_id is not None
    assert len(await IntakeLog(pool).read(accepted.batch_id)) == 1


async def test_a_sealed_block_knows_too(pool: Pool, blocks: Watched, commit: GroupCommit) -> None:
    at = now_us() - LONG_AGO_US
    events = [_late(occurred_at=at + n) for n in range(3)]
    for one in events:
        await _carry(pool, blocks, await commit.submit([one]))
    week = week_of(at)
    fold = fold_week(await blocks.read_exact("alice", week, week))
    assert fold is not None
    await blocks.fold([fold])
    await _forget(pool)
    assert (await commit.submit(events)).duplicates == 3


async def test_the_same_id_of_another_account_or_week_is_another_event(
    pool: Pool, blocks: Watched, commit: GroupCommit
) -> None:
    old = _late()
    await _carry(pool, blocks, await commit.submit([old]))
    await _forget(pool)
    event_id = old.interaction.event_id
    elsewhere = _late(event_id=event_id, account_id="bob")
    assert (await commit.submit([elsewhere])).accepted == 1


async def test_events_within_the_window_ask_no_block(blocks: Watched, commit: GroupCommit) -> None:
    assert (await commit.submit([_filed(interaction()), NewInteraction(interaction(), None)])).accepted == 2
    assert blocks.questions == 0


async def test_a_first_import_asks_no_block(pool: Pool, blocks: Watched) -> None:
    assert (await _commit(pool, blocks).submit([_late()])).accepted == 1
    assert blocks.questions == 0


async def test_each_account_and_week_is_asked_once(blocks: Watched, commit: GroupCommit) -> None:
    await commit.submit([_late() for _ in range(20)] + [_late(account_id="bob")])
    assert blocks.questions == 2


async def test_while_blocks_cannot_be_read_late_events_are_refused_and_others_are_not(
    blocks: Watched, commit: GroupCommit
) -> None:
    blocks.down = True
    with pytest.raises(TransientError):
        await commit.submit([_late(), _filed(interaction())])
    assert (await commit.submit([_filed(interaction())])).accepted == 1


async def test_a_block_that_is_broken_is_no_reason_to_count_twice(
    pool: Pool, blocks: Watched, commit: GroupCommit
) -> None:
    old = _late()
    await blocks.write([Block("alice", week_of(old.interaction.occurred_at), new_id(), 1, b"\2broken")])
    with pytest.raises(CorruptBlockError):
        await commit.submit([old])
    assert await pool.fetchval("SELECT count(*) FROM intake_log") == 0


async def test_ids_of_rows_that_wait_in_the_log_are_not_forgotten(pool: Pool, commit: GroupCommit) -> None:
    """A fan-out may be parked for longer than the window: then no block knows."""
    waiting, today = _late(), _filed(interaction())
    assert (await commit.submit([waiting, today])).accepted == 2
    await LedgerPartitions(pool, WINDOW_DAYS).drop(datetime.now(UTC).date() + timedelta(days=60))
    assert (await commit.submit([waiting, today])).duplicates == 2
