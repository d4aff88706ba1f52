"""A real Kafka broker for the tests, where there are Java and Maven, and what tests do with it."""

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from runtime.kafka.server import KafkaServer, why_not
from tests.needed import give_up

_PATIENCE_S = 30.0
_AT_ONCE = 10_000
_NOT_YET = {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE}
_numbers = itertools.count(1)


@contextmanager
def kafka_server(folder: Path) -> Iterator[KafkaServer]:
    """A running one; skips the tests that ask for it where there is none to run, or fails them in CI."""
    if lacking := why_not():
        give_up(f"no Kafka broker: {lacking}", "FOOTFALL_TESTS_NEED_KAFKA")
    server = KafkaServer(folder / "kafka", folder / "logs")
    server.start()
    try:
        yield server
    finally:
        server.kill()  # nobody wants its data


def new_topic(server: KafkaServer, stem: str, partitions: int = 1) -> str:
    """A topic that nobody else uses."""
    name = f"{stem}-{os.getpid()}-{next(_numbers)}"
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    made = admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])
    made[name].result(_PATIENCE_S)
    return name


def produce(server: KafkaServer, topic: str, values: Iterable[bytes], partition: int = -1, at_ms: int = 0) -> None:
    """Returns when the broker has all of them; without a partition they are spread, without a time it is now."""
    failed: list[str] = []

    def note(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(str(error))

    producer = Producer({"bootstrap.servers": server.bootstrap, "acks": "all", "linger.ms": 5})
    for value in values:
        while len(producer) > _AT_ONCE:
            producer.poll(0.1)
        producer.produce(topic, value, partition=partition, timestamp=at_ms, on_delivery=note)
    assert producer.flush(_PATIENCE_S) == 0
    assert not failed, failed[:3]


def rewind(server: KafkaServer, group: str, topic: str) -> None:
    """A group without members begins again with the first message."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=_PATIENCE_S).topics[topic].partitions
        consumer.commit(offsets=[TopicPartition(topic, one, 0) for one in partitions], asynchronous=False)
    finally:
        consumer.close()


def read_all(server: KafkaServer, topic: str) -> list[Message]:
    """What a topic holds now, partition by partition."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "read-all", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=_PATIENCE_S).topics[topic].partitions
        messages: list[Message] = []
        for partition in sorted(partitions):
            place = TopicPartition(topic, partition)
            first, end = consumer.get_watermark_offsets(place, timeout=_PATIENCE_S)
            consumer.assign([TopicPartition(topic, partition, first)])
            while first < end:
                for message in consumer.consume(end - first, timeout=1):
                    assert message.error() is None, message.error()
                    messages.append(message)
                    first = (message.offset() or 0) + 1
        return messages
    finally:
        consumer.close()


def _committed(consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
    """A broker that has just started may not know yet that it is the one to ask."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return consumer.committed(places, timeout=_PATIENCE_S)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def committed(server: KafkaServer, group: str, topic: str) -> dict[int, int]:
    """Partition → the offset that a group would go on from; without those that it never committed."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=_PATIENCE_S).topics[topic].partitions
        places = _committed(consumer, [TopicPartition(topic, one) for one in partitions])
        return {place.partition: place.offset for place in places if place.offset >= 0}
    finally:
        consumer.close()
