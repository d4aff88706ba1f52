"""librdkafka's side of the consumer: one thread that reads messages, and has or gives up partitions meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from domain.errors import FootfallError, InvalidInputError
from doors.kafka.client import Ear, Options
from doors.kafka.metrics import PARTITIONS, PAUSED, POLLED
from doors.kafka.recorder import Partition

_log = logging.getLogger(__name__)

_POLL_S = 0.2
"""How long a call waits for a first message. Whoever stops or pauses us waits as long."""
_CALLED_BACK_S = 20.0
_COMMITTED_S = 5.0
_WATERMARK_S = 1.0

T = TypeVar("T")
Offsets = Mapping[Partition, int]


class Reader:
    """A member of a group. All of librdkafka is called from one thread, methods from the loop."""

    def __init__(
        self,
        options: Options,
        topics: Iterable[str],
        settle: Callable[[Sequence[Partition]], Awaitable[Offsets]],
        let_go: Callable[[Sequence[Partition]], Awaitable[None]],
    ) -> None:
        """`settle` is asked before partitions go to somebody else: what is recorded by then, and was not told yet.
        `let_go` is told of partitions that are somebody else's already.

        Raises:
            InvalidInputError: the options are not what librdkafka takes.

        """
        self._topics = list(topics)
        self._settle, self._let_go = settle, let_go
        self._assigned: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        """Where the group stands, as far as we know."""
        self._is_paused = False
        self._ear = Ear()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        try:
            self._consumer = Consumer({**options, "error_cb": self._ear})
        except (KafkaException, ValueError, TypeError) as error:
            raise InvalidInputError(f"Kafka: {error}") from error

    async def join(self) -> None:
        """Asks for partitions; they come with what is taken."""
        self._loop = asyncio.get_running_loop()
        await self._call(self._subscribe)

    async def take(self, most: int, recorded: Offsets) -> list[Message]:
        """The next messages, none if there are none soon. `recorded` are to be committed: where the group goes on.

        Raises:
            FootfallError: librdkafka gave up.

        """
        messages = await self._call(partial(self._take, most, recorded))
        if self._ear.fatal is not None:
            raise FootfallError(f"Kafka: {self._ear.fatal.str()}")
        return [one for one in messages if self._is_message(one)]

    async def pause(self) -> None:
        await self._call(partial(self._pause, True))

    async def resume(self) -> None:
        await self._call(partial(self._pause, False))

    async def lag(self) -> Offsets:
        """How many messages of each partition that we have are not recorded yet; of none while nobody answers."""
        try:
            return await self._call(self._lag)
        except KafkaException as error:
            _log.warning("the lag is not known: %s", error.args[0].str())
            return {}

    async def leave(self, recorded: Offsets) -> None:
        """Commits, and gives up all partitions."""
        await self._call(partial(self._leave, recorded))

    def abandon(self) -> None:
        """Nobody waits for the thread any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # From here on in the thread.

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _take(self, most: int, recorded: Offsets) -> list[Message]:
        POLLED.set_to_current_time()
        self._store(recorded)
        first = self._consumer.consume(1, _POLL_S)
        # What is there already, and no wait for more: so few messages are as quick as many.
        return first + self._consumer.consume(most - 1, 0) if first and most > 1 else first

    def _store(self, recorded: Offsets) -> list[TopicPartition]:
        ours = [TopicPartition(*one, end) for one, end in recorded.items() if one in self._assigned]
        if ours:
            self._consumer.store_offsets(offsets=ours)
            self._next.update({(one.topic, one.partition): one.offset for one in ours})
        return ours

    def _pause(self, paused: bool) -> None:
        self._is_paused = paused
        PAUSED.set(int(paused))
        change = self._consumer.pause if paused else self._consumer.resume
        change([TopicPartition(*one) for one in self._assigned])

    def _leave(self, recorded: Offsets) -> None:
        self._store(recorded)
        self._consumer.close()

    def _lag(self) -> dict[Partition, int]:
        unknown = [one for one in self._assigned if one not in self._next]
        if unknown:
            found = self._consumer.committed([TopicPartition(*one) for one in unknown], timeout=_COMMITTED_S)
            self._next.update({(one.topic, one.partition): one.offset for one in found})
        lags = {}
        for one in self._assigned:
            place = TopicPartition(*one)
            # Those that are paused are not fetched, and so not known to have grown.
            low, high = self._consumer.get_watermark_offsets(place, _WATERMARK_S, cached=not self._is_paused)
            if high >= 0:
                lags[one] = max(0, high - max(self._next[one], low, 0))
        return lags

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        self._assigned.update(_pairs(partitions))
        PARTITIONS.set(len(self._assigned))
        if self._is_paused:
            consumer.pause(partitions)
        _log.info("has %d partitions, %d of them new", len(self._assigned), len(partitions))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        recorded = self._ask_loop(self._settle(_pairs(partitions)))
        if self._store(recorded or {}):
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:
                _log.warning("offsets could not be committed, who goes on reads some again: %s", error.args[0].str())
        self._give_up(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._ask_loop(self._let_go(_pairs(partitions)))
        self._give_up(consumer, partitions)

    def _give_up(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for one in _pairs(partitions):
            self._assigned.discard(one)
            self._next.pop(one, None)
        PARTITIONS.set(len(self._assigned))
        _log.info("gave up %d partitions, has %d", len(partitions), len(self._assigned))
        consumer.incremental_unassign(partitions)

    def _ask_loop(self, work: Awaitable[T]) -> T | None:
        asked = asyncio.run_coroutine_threadsafe(_as_coroutine(work), self._loop)
        try:
            return asked.result(_CALLED_BACK_S)
        except TimeoutError:
            _log.warning("partitions go before what was read of them is recorded; who has them reads it again")
            return None

    def _is_message(self, message: Message) -> bool:
        error = message.error()
        if error is not None:
            self._ear(error)
        return error is None


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work


def _pairs(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [(one.topic, one.partition) for one in partitions]
