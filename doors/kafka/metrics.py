"""What the consumer tells of itself, beside what every door does."""

from prometheus_client import Counter, Gauge

MESSAGES = Counter("footfall_kafka_messages", "Messages of which all is recorded or in the dead letters.", ["topic"])
DEAD_LETTERS = Counter("footfall_kafka_dead_letters", "Messages written to the dead letters.", ["topic", "reason"])
FOREIGN = Counter("footfall_kafka_foreign", "Interactions passed over, as other shards take them.")
LAG = Gauge("footfall_kafka_lag", "Messages of a partition that are not recorded yet.", ["topic", "partition"])
PARTITIONS = Gauge("footfall_kafka_partitions", "Partitions that this process has.")
PAUSED = Gauge("footfall_kafka_paused", "1 while no messages are taken, as those read can't be recorded.")
FAILURES = Counter(
    "footfall_kafka_failures", "Times that what was read could not be recorded now, to be tried again.", ["reason"]
)
POLLED = Gauge("footfall_kafka_polled_timestamp_seconds", "When Kafka was last asked for messages.")
