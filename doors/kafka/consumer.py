"""Reads topics into the intake: offsets follow what is committed there, and what has no room is not read."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Message

from domain.shard import Shard
from doors.kafka.clicks import read_click, read_order
from doors.kafka.client import Options
from doors.kafka.dead_letters import DeadLetter
from doors.kafka.messages import Format, Place, read_interactions, read_message, told
from doors.kafka.metrics import FOREIGN, LAG
from doors.kafka.pipeline import Pipeline
from doors.kafka.reader import Offsets, Reader
from doors.kafka.recorder import Partition, Portion, Recorder
from doors.kafka.topics import FormatName
from intake.ledger import LedgerDays, now_us
from intake.log import NewInteraction

_log = logging.getLogger(__name__)

_FORMATS: Mapping[FormatName, Format] = {
    "interaction": read_interactions,
    "click": read_click,
    "order": read_order,
}

_UNDER_WAY = 4
_PATIENCE_S = 1.0
"""For what is under way; then partitions are paused, and asked for nothing but whether we still have them."""
_SETTLE_S = 8.0
"""For the same when partitions go to somebody else, or we end."""
_LEAVE_S = 8.0
_LAG_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read, and how."""

    topics: Mapping[str, FormatName]
    days: LedgerDays
    shard: Shard | None
    """Whose accounts are taken; those of all where None."""
    most: int
    """Messages that are read at once, and interactions that are recorded at once."""


class KafkaConsumer:
    def __init__(self, options: Options, reading: Reading, recorder: Recorder) -> None:
        """Raises InvalidInputError: the options are not what librdkafka takes."""
        self._reading = reading
        self._formats = {topic: _FORMATS[name] for topic, name in reading.topics.items()}
        self._recorder = recorder
        self._pipeline = Pipeline(recorder.record, self._note_recorded, most=_UNDER_WAY)
        self._reader = Reader(options, reading.topics, self._settle, self._let_go)
        self._recorded: dict[Partition, int] = {}
        self._read: list[Message] = []
        """Read while there was no room, as it can happen when partitions come."""

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop` is set, then records what was read, commits and leaves the group.

        Raises:
            FootfallError: librdkafka gave up.

        """
        await self._reader.join()
        telling = asyncio.create_task(self._keep_telling())
        try:
            while not stop.is_set():
                await self._turn(stop)
        finally:
            telling.cancel()
            await self._end()

    async def _turn(self, stop: asyncio.Event) -> None:
        await self._make_room(stop)
        taken = await self._reader.take(self._reading.most, self._take_recorded())
        messages, self._read = [*self._read, *taken], []
        for portion in self._portions(messages):
            await self._make_room(stop)
            if stop.is_set():
                return
            self._pipeline.begin(portion)
            await asyncio.sleep(0)  # others of the loop come first: PostgreSQL may have answered

    async def _make_room(self, stop: asyncio.Event) -> None:
        """Returns when there is room for a portion, or on `stop`."""
        self._pipeline.check()
        if not self._recorder.in_trouble and await self._pipeline.has_room(_PATIENCE_S):
            return
        _log.info("paused: what was read is not recorded yet")
        await self._reader.pause()
        while not stop.is_set() and (self._recorder.in_trouble or not await self._pipeline.has_room(0)):
            self._pipeline.check()
            self._read += await self._reader.take(1, self._take_recorded())
        await self._reader.resume()
        _log.info("goes on")

    def _portions(self, messages: Sequence[Message]) -> Iterator[Portion]:
        """Each of some messages whose interactions fit into a commit, or of a single one."""
        portion, now = Portion(), now_us()
        for message in messages:
            self._draw(message, portion, now)
            if len(portion.events) >= self._reading.most:
                yield portion
                portion = Portion()
        if portion.ends:
            yield portion

    def _draw(self, message: Message, portion: Portion, now: int) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None and partition is not None and offset is not None  # noqa: S101, PT018
        kind, timestamp_ms = message.timestamp()
        place = Place(topic, partition, offset, timestamp_ms if kind else None)
        events, contents = read_message(self._formats[topic], message.value(), place, now, self._reading.days)
        if contents.faults:
            portion.dead.append(DeadLetter(message, contents.kind, told(contents.faults)))
        if self._reading.shard is not None:
            events = self._ours(events, self._reading.shard)
        portion.events += events
        portion.origins += [message] * len(events)
        portion.messages[topic] += 1
        portion.ends[topic, partition] = offset + 1

    @staticmethod
    def _ours(events: list[NewInteraction], shard: Shard) -> list[NewInteraction]:
        ours = [one for one in events if shard.holds(one.interaction.account_id)]
        FOREIGN.inc(len(events) - len(ours))
        return ours

    def _note_recorded(self, portion: Portion) -> None:
        self._recorded.update(portion.ends)

    def _take_recorded(self) -> Offsets:
        recorded, self._recorded = self._recorded, {}
        return recorded

    async def _settle(self, partitions: Sequence[Partition]) -> Offsets:
        if not await self._pipeline.is_empty(_SETTLE_S):
            await self._let_go(partitions)
        return self._take_recorded()

    async def _let_go(self, partitions: Sequence[Partition]) -> None:
        self._pipeline.let_go(partitions)

    async def _keep_telling(self) -> None:
        told_of = set[Partition]()
        while True:
            await asyncio.sleep(_LAG_EVERY_S)
            lags = await self._reader.lag()
            for topic, partition in told_of - lags.keys():
                LAG.remove(topic, str(partition))
            for (topic, partition), lag in lags.items():
                LAG.labels(topic, str(partition)).set(lag)
            told_of = set(lags)

    async def _end(self) -> None:
        if not await self._pipeline.is_empty(_SETTLE_S):
            _log.warning("ended before all that was read is recorded; it is read again")
        self._pipeline.cancel()
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._reader.leave(self._take_recorded())
        except TimeoutError:
            _log.warning("ended without a word to the group, which notices")
        self._reader.abandon()
