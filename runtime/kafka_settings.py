"""Settings of Kafka."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from domain.errors import InvalidInputError
from doors.kafka.topics import FormatName, parse_topics


class KafkaSettings(BaseSettings):
    """What docs/doors-kafka.md tells of."""

    kafka_bootstrap: str | None = Field(
        None, description="Comma-separated host:port of some of Kafka's brokers, for `footfall consume`."
    )
    kafka_config_file: Path | None = Field(
        None,
        description="File of more options of Kafka's client (security.protocol, sasl.username, ssl.ca.location …), "
        "a line name=value each.",
    )
    kafka_topics: Annotated[dict[str, FormatName], NoDecode] = Field(
        {},
        description="What `footfall consume` reads, as topic=format: interactions=interaction,clicks=click,"
        "orders=order.",
    )
    kafka_group: str = Field(
        "footfall", min_length=1, description="Consumer group; a new one begins at the earliest message."
    )
    kafka_dead_letter_topic: str | None = Field(
        None, description="Topic of the messages that can't be recorded, with the reason; it has to be set."
    )
    consumer_metrics_host: str = Field(
        "127.0.0.1", description="Address that `footfall consume` tells its metrics on."
    )
    consumer_metrics_port: int = Field(
        9102, ge=0, le=65535, description="Port of GET /metrics of `footfall consume`; 0: none."
    )

    @field_validator("kafka_topics", mode="before")
    @classmethod
    def _topics(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_topics(value)
        except InvalidInputError as error:
            raise ValueError(str(error)) from error
