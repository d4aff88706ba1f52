"""`footfall consume` on a real broker: what is in the topics is counted once."""

import httpx

from runtime.kafka.server import KafkaServer
from tests.doors.kafka.consuming import consuming, unique, until_counted, views
from tests.kafka_server import produce
from tests.stack import Stack


async def test_messages_are_counted(stack: Stack, http: httpx.AsyncClient, kafka: KafkaServer) -> None:
    cup = unique("cup")
    with consuming(stack, kafka, ["interaction"], partitions=3) as group:
        (topic,) = group.topics
        produce(kafka, topic, views(cup, 500))
        process = group.start()
        await group.until_read(topic, 500)
        produce(kafka, topic, views(cup, 10))
        await group.until_read(topic, 510)
        await until_counted(stack, cup, 510)
        assert group.end(process) == 0
