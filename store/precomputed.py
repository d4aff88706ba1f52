"""Recommendations made ahead, in PostgreSQL, one row an account."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from domain.recommendations import Answer, Recommended
from domain.week import from_us, to_us
from store.postgres import Pool, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "precomputed.sql")
KEPT = timedelta(hours=24)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Recommended]).decode


class PrecomputedStore:
    """All methods raise TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self, answers: Mapping[str, Answer]) -> None:
        """Keeps each account's answer for 24 hours, in place of what was there."""
        now = datetime.now(UTC)
        with translated_errors():
            await self._pool.execute(
                _QUERIES["write"],
                list(answers),
                [one.model_version for one in answers.values()],
                [_encode(one.items) for one in answers.values()],
                [
                    None if one.last_action_at_us is None else from_us(one.last_action_at_us)
                    for one in answers.values()
                ],
                now,
                now + KEPT,
            )

    async def read(self, account_id: str) -> Answer | None:
        """The account's answer with the moment that it was made, or None where there is none of the last 24 hours."""
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["read"], account_id)
        if row is None:
            return None
        last = row["last_action_at"]
        return Answer(
            "precomputed",
            _decode(row["items"]),
            row["model_version"],
            to_us(row["computed_at"]),
            None if last is None else to_us(last),
        )

    async def forget(self) -> None:
        """Drops what is out of date."""
        with translated_errors():
            await self._pool.execute(_QUERIES["forget"])
