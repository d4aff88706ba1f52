"""A topic that is written to, and what readers find in it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from runtime.kafka.server import KafkaServer
from store.topic_kafka import KafkaTopic
from tests.kafka_server import new_topic, read_all

_PATIENCE_S = 30.0


@asynccontextmanager
async def open_topic(kafka: KafkaServer, name: str | None = None) -> AsyncIterator[KafkaTopic]:
    """A new one where there is no name."""
    topic = KafkaTopic(name or new_topic(kafka, "published", 3), {"bootstrap.servers": kafka.bootstrap})
    try:
        yield topic
    finally:
        await topic.aclose()


def make_topic(kafka: KafkaServer, name: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    made = admin.create_topics([NewTopic(name, 1, config=config)])
    made[name].result(_PATIENCE_S)


def published(kafka: KafkaServer, topic: str) -> list[tuple[str, dict[str, Any]]]:
    """Key and body of every message."""
    found = []
    for message in read_all(kafka, topic):
        key, value = message.key(), message.value()
        assert key is not None
        assert value is not None
        body = json.loads(value)
        assert dict(message.headers() or []) == {"event_type": body["event_type"].encode()}
        found.append((key.decode(), body))
    return found
