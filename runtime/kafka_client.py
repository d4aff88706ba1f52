"""How Kafka's brokers are reached, as librdkafka wants to be told."""

from typing import Any

from domain.errors import InvalidInputError
from runtime.settings import Settings


def kafka_connection(settings: Settings) -> dict[str, Any]:
    """What every client of the settings' brokers is configured with.

    Raises:
        InvalidInputError: no broker is set.

    """
    if settings.kafka_bootstrap is None:
        raise InvalidInputError("FOOTFALL_KAFKA_BOOTSTRAP: not set")
    return {"bootstrap.servers": settings.kafka_bootstrap}
