"""How librdkafka is set up: what the consumer's promises rest on, and what an operator adds for the cluster."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domain.errors import InvalidInputError

_log = logging.getLogger("kafka")

Options = dict[str, Any]

_SYSLOG_WARNING = 4

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
_PRODUCER: Mapping[str, Any] = {"acks": "all", "enable.idempotence": True}
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
    return {"log_level": _SYSLOG_WARNING, "logger": _log, **given, "bootstrap.servers": bootstrap}
