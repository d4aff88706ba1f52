"""Everything that is kept of an account, as lines of JSON that any program can read.

Straight from the stores, and no file of it is kept: that would be one more place to erase. Who was cut off asks
again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from domain.actions import Action, Hidden
from domain.block import decode_block
from domain.catalog import Profile
from domain.errors import CorruptBlockError
from domain.ids import id_text
from domain.interaction import Interaction
from domain.readable import readable
from domain.recommendations import Answer
from domain.week import from_us, monday_of
from intake.erasure import logged_rows
from intake.quarantine import Choice, Quarantine
from store.blocks.protocol import Block, BlockReader
from store.catalog import CatalogStore
from store.experiments import ExperimentStore, OfAccount
from store.postgres import Pool
from store.precomputed import PrecomputedStore
from store.signals import SignalStore

MEDIA_TYPE = "application/x-ndjson"
_FORMAT = 1
_ALL_WEEKS = (0, 2**31 - 1)

_encode = msgspec.json.Encoder().encode
_week = attrgetter("week")
_place = attrgetter("occurred_at", "event_id")

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Export:
    """What the stores have of an account; blocks as they are stored, which is a tenth of their lines."""

    account_id: str
    made_at: datetime
    profile: Profile | None
    blocks: Sequence[Block]
    under_way: dict[bytes, Interaction]
    """Accepted, and perhaps in no block yet."""
    recent: Sequence[Action]
    hidden: Hidden
    experiments: Sequence[OfAccount]
    precomputed: Answer | None

    async def lines(self) -> AsyncIterator[bytes]:
        """The last one is of the kind `end`: a file without it was cut off."""
        count, complete = 0, True
        async for line in self._lines():
            count += 1
            complete = complete and line["kind"] != "unreadable"
            yield _encode(line) + b"\n"
        yield _encode({"kind": "end", "lines": count + 1, "complete": complete}) + b"\n"

    async def _lines(self) -> AsyncIterator[Line]:
        yield {"kind": "export", "format": _FORMAT, "account_id": self.account_id, "made_at": self.made_at}
        if self.profile is not None:
            yield {"kind": "profile", **_moments(msgspec.structs.asdict(self.profile))}
        async for line in self._interactions():
            yield line
        for action in self.recent:
            ids_and_times = {"event_id": id_text(action.event_id), "occurred_at": from_us(action.occurred_at)}
            yield {"kind": "signal", **_present(action), **ids_and_times}
        opinions = {name: sorted(ids) for name, ids in msgspec.structs.asdict(self.hidden).items() if ids}
        if opinions:
            yield {"kind": "opinions", **opinions}
        for experiment in self.experiments:
            yield {"kind": "experiment", **asdict(experiment)}
        if self.precomputed is not None:
            yield {"kind": "recommendations", **_moments(msgspec.to_builtins(self.precomputed))}

    async def _interactions(self) -> AsyncIterator[Line]:
        """Newest first, each once; at last those that are in no block yet."""
        waiting = dict(self.under_way)
        for week, of_week in groupby(self.blocks, key=_week):
            found, unreadable = _merged(of_week)
            for fault in unreadable:
                yield {"kind": "unreadable", "week_of": monday_of(week), "reason": fault}
            for line in _readable(found):
                yield line
            for one in found:
                waiting.pop(one.event_id, None)
            await asyncio.sleep(0)  # to decode is work for the processor: others take turns
        for line in _readable(list(waiting.values())):
            yield line


@dataclass(frozen=True, slots=True)
class Exporter:
    """Where everything is. Raises TransientError or PermanentError."""

    pool: Pool
    blocks: BlockReader
    signals: SignalStore

    async def export(self, account_id: str) -> Export:
        """The log is read before the blocks: what has left it by then is in a block."""
        under_way = {one.event_id: one async for row in logged_rows(self.pool, account_id) for one in row.mine}
        quarantined = await Quarantine(self.pool).find(Choice(account_id=account_id))
        under_way |= {one.interaction.event_id: one.interaction for one in quarantined}
        blocks = await self.blocks.read_exact(account_id, *_ALL_WEEKS)
        recent, hidden = await self.signals.both(account_id)
        return Export(
            account_id,
            datetime.now(UTC),
            await CatalogStore(self.pool).profile(account_id),
            blocks,
            under_way,
            recent,
            hidden,
            await ExperimentStore(self.pool).of_account(account_id),
            await PrecomputedStore(self.pool).read(account_id),
        )


def _merged(blocks: Iterable[Block]) -> tuple[list[Interaction], list[str]]:
    """The interactions of a week, each once, newest first; why some can't be told."""
    by_id: dict[bytes, Interaction] = {}
    unreadable = []
    for block in blocks:
        try:
            by_id |= {one.event_id: one for one in decode_block(block.data, block.account_id)}
        except CorruptBlockError as error:
            unreadable.append(str(error))
    return sorted(by_id.values(), key=_place, reverse=True), unreadable


def _readable(interactions: Sequence[Interaction]) -> list[Line]:
    return [{"kind": "interaction", **_present(one)} for one in readable(interactions)]


def _present(one: msgspec.Struct) -> Line:
    return {name: value for name, value in msgspec.structs.asdict(one).items() if value is not None}


def _moments(fields: Line) -> Line:
    """Times under names without their unit."""
    return {
        name.removesuffix("_us"): from_us(value) if name.endswith("_us") else value
        for name, value in fields.items()
        if value is not None
    }
