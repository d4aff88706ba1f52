"""What an account did of late, and what it does not want to see: what a signal store keeps, whatever is behind it.

Two kinds of signals, of each the newest so many of an account within so long: RECENT ones of all types, and LASTING
ones, which say what not to recommend and are kept for as long as the interactions themselves.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import msgspec

from domain.actions import LASTING_TYPES, Action, Hidden, newest_first
from domain.errors import PermanentError
from domain.week import WEEKS_KEPT
from store.postgres import Connection


@dataclass(frozen=True, slots=True)
class Kind:
    """What is kept of one kind of signals, of each account."""

    most: int
    """Actions that a reader gets at the most."""
    kept_for: timedelta
    """From their occurrence on; older ones are neither taken in nor read."""
    types: frozenset[str] | None = None
    """None: all."""

    def since_us(self, now: int) -> int:
        """The oldest moment in keep; both in microseconds since the Unix epoch."""
        return now - self.kept_for // timedelta(microseconds=1)


RECENT = Kind(most=200, kept_for=timedelta(days=28))
LASTING = Kind(most=1_000, kept_for=timedelta(weeks=WEEKS_KEPT), types=LASTING_TYPES)


class SignalStore(Protocol):
    """All methods raise TransientError or PermanentError."""

    async def add(self, connection: Connection, actions: Sequence[Action]) -> None:
        """Takes in actions of any accounts, in any order; those that are too old are left out.

        `connection` is in the transaction that marks them as applied. A store in PostgreSQL writes within it. One
        elsewhere has written when this returns, and so before the mark; what comes again is kept once.
        """

    async def probe(self, actions: Sequence[Action]) -> None:
        """Raises what `add` would raise because of these actions, and keeps none."""

    async def recent(self, account_id: str, limit: int = RECENT.most) -> list[Action]:
        """The newest actions, newest first; `limit` is at most RECENT.most."""

    async def hidden(self, account_id: str) -> Hidden:
        """By the account's lasting actions."""

    async def both(self, account_id: str) -> tuple[list[Action], Hidden]:
        """`recent` and `hidden`, read at once."""

    async def erase(self, account_id: str, before_us: int) -> int:
        """Drops what an account did before that moment; how many actions, each counted for each kind."""

    async def maintain(self) -> None:
        """Makes room for what is to come and drops what is out of keep."""

    async def ping(self) -> None: ...


def now_us() -> int:
    """The present in microseconds since the Unix epoch."""
    return time.time_ns() // 1_000


def to_keep(kind: Kind, actions: Iterable[Action], now: int) -> dict[str, list[Action]]:
    """What this kind keeps of these actions, by account, newest first.

    Of one account no more than a reader would get: the rest would never be among its newest.
    """
    since_us, types = kind.since_us(now), kind.types
    by_account: dict[str, list[Action]] = {}
    for one in actions:
        if one.occurred_at >= since_us and (types is None or one.event_type in types):
            by_account.setdefault(one.account_id, []).append(one)
    return {
        account_id: some if len(some) == 1 else newest_first(some)[: kind.most]
        for account_id, some in by_account.items()
    }


class _Packed(msgspec.Struct, array_like=True, gc=False):
    """An action as it is stored, without its account. By position: new fields go to the end, with a default."""

    event_id: bytes
    occurred_at: int
    item_id: str
    event_type: str
    session_id: str | None = None
    recommendation_id: str | None = None
    position: int | None = None
    price: float | None = None
    quantity: int | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Packed]).decode


def pack(actions: Iterable[Action]) -> bytes:
    """Actions of one account; the same ones always give the same bytes."""
    return _encode(
        [
            _Packed(
                one.event_id,
                one.occurred_at,
                one.item_id,
                one.event_type,
                one.session_id,
                one.recommendation_id,
                one.position,
                one.price,
                one.quantity,
            )
            for one in actions
        ]
    )


def unpack(account_id: str, data: bytes) -> list[Action]:
    """The inverse of `pack`.

    Raises:
        PermanentError: the bytes are not what was written.

    """
    try:
        packed = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PermanentError(f"signals of {account_id!r} can't be read: {error}") from error
    return [
        Action(
            account_id,
            one.item_id,
            one.event_type,
            one.occurred_at,
            one.event_id,
            one.session_id,
            one.recommendation_id,
            one.position,
            one.price,
            one.quantity,
        )
        for one in packed
    ]
