"""A topic of Kafka, by librdkafka, and the one place where its errors become ours.

confluent_kafka has a producer for asyncio, which is new and takes no headers. Here one thread polls for the reports
of all messages, and who waits for some of them is woken once.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from domain.errors import FootfallError, InvalidInputError, PermanentError, TransientError
from store.topic import TopicMessage

_log = logging.getLogger(__name__)

DELIVERY_S = 8.0
"""Until a message is delivered or has failed; well within a fan-out's first attempt, which has 20 s."""
_REPORTS_LATE_S = 2.0
_TURN_S = 2.0
_WRITES_AT_ONCE = 4
_MESSAGES_A_WRITE = 2_000
# Messages that are handed over in one go, while nobody else has the processor.
_MESSAGES_A_TURN = 250
_QUEUE_FULL_S = 0.02
_POLL_S = 0.5
_END_S = 2.0
_MOST_BYTES = 1_000_000
_KEY_BYTES = 36
# As syslog counts: librdkafka tells of every attempt to connect, and `_hear` hears the same.
_CRITICAL = 2

# What our promises and bounds rest on, and what an operator may have otherwise.
_PRODUCER: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,  # what librdkafka itself sends again is in the topic once, and in order
    "delivery.timeout.ms": int(DELIVERY_S * 1_000),
    # A topic that was made a moment ago is waited for; its absence is told while there is still time to.
    "topic.metadata.propagation.max.ms": int(DELIVERY_S * 500),
    "message.max.bytes": _MOST_BYTES + _KEY_BYTES,
    "log_level": _CRITICAL,
}
_DEFAULTS: Mapping[str, Any] = {
    "client.id": "footfall",
    "reconnect.backoff.max.ms": 2_000,
    "queue.buffering.max.kbytes": 64 * 1024,
    "compression.type": "zstd",
    "partitioner": "murmur2_random",  # as Java's clients place keys: topics of theirs can be joined with ours
}

# The broker understood, and will say the same of the same messages until somebody changes something there.
_PERMANENT = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
}


class KafkaTopic:
    """Waits `DELIVERY_S` at the most for what it writes, some thousand messages at a time.

    While the brokers don't take messages one write at a time tries whether they do again, and all others fail at
    once: who waits here keeps others of the process from their turn.
    """

    most_bytes = _MOST_BYTES

    def __init__(self, name: str, connection: Mapping[str, Any]) -> None:
        """`connection` is librdkafka's configuration of how the brokers are reached.

        Raises:
            InvalidInputError: librdkafka does not take it.

        """
        self._name = name
        self._config = {**_DEFAULTS, **connection, **_PRODUCER, "error_cb": self._hear, "logger": _log}
        self._producer: Producer | None = self._new_producer()
        self._turns = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._under_way = 0
        self._trouble: str | None = None
        """Why the last write failed, or that no broker is there; None after one that went well."""
        self._heard = ""
        """What librdkafka last said of the brokers: a message that timed out does not know why."""
        self._is_spoilt = False
        self._ending = threading.Event()
        self._polling = threading.Thread(target=self._poll, name=f"topic {name}", daemon=True)
        self._polling.start()

    async def write(self, messages: Iterable[TopicMessage]) -> None:
        """Part by part, so that a slow link has its time for each of them."""
        coming = iter(messages)
        while some := list(islice(coming, _MESSAGES_A_WRITE)):
            await self._write(some)

    def check(self) -> None:
        if self._trouble is not None and self._under_way:
            raise TransientError(self._trouble)

    async def aclose(self) -> None:
        """What nobody waits for any more is dropped: it counts as not written."""
        self._ending.set()
        await asyncio.to_thread(self._polling.join, _END_S)

    async def _write(self, messages: Sequence[TopicMessage]) -> None:
        async with self._turn():
            try:
                await self._deliver(messages)
            except TransientError as error:
                self._note_trouble(str(error))
                raise
            except PermanentError:
                self._note_answer()
                raise
            self._note_answer()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        self.check()
        try:
            async with asyncio.timeout(_TURN_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise TransientError(f"Kafka: {_WRITES_AT_ONCE} writes to {self._name} are under way") from error
        try:
            self.check()
            self._under_way += 1
            try:
                yield
            finally:
                self._under_way -= 1
        finally:
            self._turns.release()

    def _note_trouble(self, why: str) -> None:
        if self._trouble is None:
            _log.warning("messages are not taken: %s", why)
        self._trouble = why

    def _note_answer(self) -> None:
        if self._trouble is not None:
            _log.info("Kafka: %s: messages are taken again", self._name)
        self._trouble = None
        self._heard = ""

    async def _deliver(self, messages: Sequence[TopicMessage]) -> None:
        reports = _Reports(len(messages))
        try:
            async with asyncio.timeout(DELIVERY_S + _REPORTS_LATE_S):
                for number, message in enumerate(messages, 1):
                    while not self._hand_over(message, reports):  # noqa: ASYNC110  (nothing tells of room)
                        await asyncio.sleep(_QUEUE_FULL_S)
                    if number % _MESSAGES_A_TURN == 0:
                        await asyncio.sleep(0)
                error = await reports.all_in
        except TimeoutError as late:
            raise TransientError(self._said("no report of what was written")) from late
        if error is not None:
            raise self._translated(error)

    def _hand_over(self, message: TopicMessage, reports: "_Reports") -> bool:
        """Whether the queue had room for it."""
        producer = self._producer
        if producer is None:
            raise TransientError(f"Kafka: {self._name} is closed")
        try:
            producer.produce(
                self._name, message.value, message.key, headers=list(message.headers), on_delivery=reports.take
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise self._translated(error.args[0]) from error
        return True

    def _translated(self, error: KafkaError) -> FootfallError:
        if error.code() in _PERMANENT:
            return PermanentError(self._said(error.str()))
        if error.fatal():
            self._is_spoilt = True
        return TransientError(self._said(error.str()))

    def _said(self, what: str) -> str:
        return f"Kafka: {self._name}: {what}" + (f" ({self._heard})" if self._heard else "")

    def _hear(self, error: KafkaError) -> None:
        """In the polling thread; of brokers, not of single messages."""
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  (librdkafka's own errors are named so)
            self._is_spoilt = True
        self._heard = error.str()
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._note_trouble(f"Kafka: {self._name}: {error.str()}")

    def _poll(self) -> None:
        while not self._ending.is_set():
            producer = self._producer
            assert producer is not None  # noqa: S101  (until the end of this thread)
            producer.poll(_POLL_S)
            if self._is_spoilt:
                self._is_spoilt = False
                _log.warning("%s: begins anew after a fatal error: %s", self._name, self._heard)
                self._producer = self._new_producer()
                producer.purge()
                producer.flush(_POLL_S)
            del producer
        self._producer = None  # freed here, where it may take its time

    def _new_producer(self) -> Producer:
        try:
            return Producer(self._config)
        except KafkaException as error:
            raise InvalidInputError(f"Kafka: {error.args[0].str()}") from error


class _Reports:
    """Of the messages of one write: counted in the polling thread, awaited in the loop's."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = count
        self._error: KafkaError | None = None
        self.all_in: asyncio.Future[KafkaError | None] = self._loop.create_future()
        """When all messages are reported: a permanent error of one of them, or another, or None."""

    def take(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and (self._error is None or error.code() in _PERMANENT):
            self._error = error
        self._left -= 1
        if not self._left:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self.all_in.done():
            self.all_in.set_result(self._error)
