"""Settings of Kafka."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from domain.errors import InvalidInputError
from doors.kafka.topics import FormatName, parse_topics


class KafkaSettings(BaseSettings):
    """What docs/doors-kafka.md and docs/doors-publish.md tell of."""

    kafka_bootstrap: str | None = Field(
        None,
        description="Comma-separated host:port of some of Kafka's brokers, for `footfall consume` and "
        "FOOTFALL_PUBLISH_TOPIC.",
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
    publish_topic: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        description="Topic that accepted interactions are mirrored to; none where it is not set. The same for all "
        "processes.",
    )
    consumer_metrics_host: str = Field(
        "127.0.0.1", description="Address that `footfall consume` tells its metrics on."
    )
    consumer_metrics_port: int = Field(
        9103, ge=0, le=65535, description="Port of GET /metrics of `footfall consume`; 0: none."
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

    @model_validator(mode="after")
    def _a_topic_has_brokers(self) -> Self:
        if self.publish_topic is not None and self.kafka_bootstrap is None:
            raise ValueError("with FOOTFALL_PUBLISH_TOPIC, FOOTFALL_KAFKA_BOOTSTRAP has to be set too")
        return self
