"""Other ways to keep accounts' signals in PostgreSQL, for bench/signals.py to hold ours against."""

from collections.abc import Sequence

from domain.actions import Action, newest_first
from domain.week import week_of, week_start_us
from store.postgres import Connection, Pool, driver_ids
from store.signals import RECENT, now_us, pack, to_keep, unpack

_WEEKS = range(-6, 2)
_ACTION_TABLE = """
CREATE TABLE action_signal (
    account_id text COLLATE "C" NOT NULL, occurred_at bigint NOT NULL, event_id uuid NOT NULL, item_id text NOT NULL,
    event_type text NOT NULL, session_id text, recommendation_id text, position integer, price float8,
    quantity integer
) PARTITION BY RANGE (occurred_at);
CREATE INDEX action_signal_newest ON action_signal (account_id, occurred_at);
"""
_ADD_ACTIONS = """
INSERT INTO action_signal SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::float8[],
    $10::int[])
"""
_READ_ACTIONS = """
SELECT account_id, item_id, event_type, occurred_at, event_id, session_id, recommendation_id, position, price,
    quantity
FROM action_signal WHERE account_id = $1 AND occurred_at >= $2 ORDER BY occurred_at DESC LIMIT $3
"""

_ACCOUNT_TABLE = """
CREATE TABLE account_signal (account_id text COLLATE "C" PRIMARY KEY, actions bytea[] NOT NULL) WITH (fillfactor = 70)
"""
_ADD_TO_ACCOUNT = """
INSERT INTO account_signal AS s (account_id, actions)
SELECT account_id, array_agg(action) FROM unnest($1::text[], $2::bytea[]) AS t (account_id, action)
GROUP BY account_id ORDER BY account_id
ON CONFLICT (account_id) DO UPDATE SET actions = (excluded.actions || s.actions)[1:200]
"""
_READ_ACCOUNT = "SELECT actions FROM account_signal WHERE account_id = $1"


class RowAnAction:
    """Every field a column: what SQL can read."""

    table = "action_signal"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def make(self) -> None:
        await self._pool.execute(_ACTION_TABLE)
        this_week = week_of(now_us())
        for week in (this_week + offset for offset in _WEEKS):
            bounds = str(week_start_us(week)), str(week_start_us(week + 1))
            await self._pool.fetchval("SELECT make_range_partition($1, $2, $3, $4)", self.table, f"a{week}", *bounds)

    async def add(self, connection: Connection, actions: Sequence[Action]) -> None:
        await connection.execute(
            _ADD_ACTIONS,
            [one.account_id for one in actions],
            [one.occurred_at for one in actions],
            driver_ids(one.event_id for one in actions),
            [one.item_id for one in actions],
            [one.event_type for one in actions],
            [one.session_id for one in actions],
            [one.recommendation_id for one in actions],
            [one.position for one in actions],
            [one.price for one in actions],
            [one.quantity for one in actions],
        )

    async def recent(self, account_id: str, limit: int = RECENT.most) -> list[Action]:
        rows = await self._pool.fetch(_READ_ACTIONS, account_id, RECENT.since_us(now_us()), limit)
        return [Action(account_id, item, kind, at, one.bytes, *others) for _, item, kind, at, one, *others in rows]


class RowAnAccount:
    """The newest actions of an account in one row, which is written anew for each batch with it."""

    table = "account_signal"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def make(self) -> None:
        await self._pool.execute(_ACCOUNT_TABLE)

    async def add(self, connection: Connection, actions: Sequence[Action]) -> None:
        kept = [one for some in to_keep(RECENT, actions, now_us()).values() for one in some]
        await connection.execute(_ADD_TO_ACCOUNT, [one.account_id for one in kept], [pack([one]) for one in kept])

    async def recent(self, account_id: str, limit: int = RECENT.most) -> list[Action]:
        packed = await self._pool.fetchval(_READ_ACCOUNT, account_id) or []
        return newest_first([one for part in packed for one in unpack(account_id, part)])[:limit]
