"""How librdkafka is set up: what the consumer's promises rest on, and what an operator adds for the cluster."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError

from domain.errors import InvalidInputError

_log = logging.getLogger("kafka")

Options = dict[str, Any]


class Ear:
    """What librdkafka says of its errors, each once in a while; a client of it has one as its `error_cb`."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self.fatal: KafkaError | None = None
        """The one after which the client does nothing any more."""

    def __call__(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  (librdkafka's own errors are named so)
            self.fatal = error
        now = time.monotonic()
        if now - self._said.get(error.name(), float("-inf")) > _SAID_EVERY_S:
            self._said[error.name()] = now
            _log.warning("%s", error.str())


# As syslog counts. Of every attempt to connect librdkafka tells its callbacks too, and these say it now and then.
_CRITICAL = 2
_SAID_EVERY_S = 30.0

# Offsets are committed on a timer, but only those that were stored, and these are stored once all before is recorded.
_CONSUMER: Mapping[str, Any] = {
    "enable.auto.offset.store": False,
    "enable.auto.commit": True,
    "auto.commit.interval.ms": 1_000,
    "auto.offset.reset": "earliest",
    # Who keeps a partition goes on with it while others move.
    "partition.assignment.strategy": "cooperative-sticky",
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    "enable.partition.eof": False,
}
# What may be read ahead takes memory; an operator may have it otherwise.
_CONSUMER_DEFAULTS: Mapping[str, Any] = {
    "client.id": "footfall",
    "queued.max.messages.kbytes": 32 * 1024,
    "session.timeout.ms": 30_000,
}
# Not idempotent: a dead letter may come twice anyway, and such a producer can break for good.
_PRODUCER: Mapping[str, Any] = {"acks": "all", "enable.idempotence": False}
_PRODUCER_DEFAULTS: Mapping[str, Any] = {
    "client.id": "footfall",
    "delivery.timeout.ms": 10_000,
    "message.max.bytes": 100_000_000,  # the broker says what is too large for the topic
}
_OURS = {"bootstrap.servers", "group.id", *_CONSUMER, *_PRODUCER}


def read_config_file(path: Path | None) -> Options:
    """The options of a client's .properties file: `name=value` lines, # before remarks.

    Raises:
        InvalidInputError: it can't be read, or has an option that is not free.

    """
    if path is None:
        return {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"FOOTFALL_KAFKA_CONFIG_FILE: {error}") from error
    options: Options = {}
    for number, line in enumerate(lines, 1):
        name, is_option, value = (one.strip() for one in line.partition("="))
        if not name or name.startswith("#"):
            continue
        if not is_option:
            raise InvalidInputError(f"{path}, line {number}: not name=value")
        if name in _OURS:
            raise InvalidInputError(f"{path}, line {number}: {name} is not free, or has a setting of its own")
        options[name] = value
    return options


def consumer_options(bootstrap: str, group: str, given: Options) -> Options:
    return {**_CONSUMER_DEFAULTS, **_shared(bootstrap, given), **_CONSUMER, "group.id": group}


def producer_options(bootstrap: str, given: Options) -> Options:
    return {**_PRODUCER_DEFAULTS, **_shared(bootstrap, given), **_PRODUCER}


def _shared(bootstrap: str, given: Options) -> Options:
    return {"log_level": _CRITICAL, "logger": _log, **given, "bootstrap.servers": bootstrap}
