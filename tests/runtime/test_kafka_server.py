"""The broker of the tests: it keeps what it acknowledged, and one of its listeners asks for a password."""

import tempfile
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from runtime.kafka.server import PASSWORD, USERNAME, KafkaServer
from tests.kafka_server import new_topic, produce, read_all


def test_kafka_keeps_its_data(kafka: KafkaServer) -> None:  # the fixture skips where there is none to run
    with tempfile.TemporaryDirectory(prefix="footfall-") as name:
        folder = Path(name)
        server = KafkaServer(folder / "data", folder / "logs")
        server.start()
        try:
            topic = new_topic(server, "kept", partitions=2)
            produce(server, topic, [b"one", b"two"], partition=1)
            server.kill()
            server.start()
            assert [(one.partition(), one.value()) for one in read_all(server, topic)] == [(1, b"one"), (1, b"two")]
        finally:
            server.kill()


def test_a_password_is_asked_for(kafka: KafkaServer) -> None:
    sasl: dict[str, str | int | float] = {
        "bootstrap.servers": kafka.sasl_bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": USERNAME,
        "log_level": 0,
    }
    assert AdminClient({**sasl, "sasl.password": PASSWORD}).list_topics(timeout=20).brokers
    with pytest.raises(KafkaException):
        AdminClient({**sasl, "sasl.password": "wrong"}).list_topics(timeout=2)
