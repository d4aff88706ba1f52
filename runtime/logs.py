"""Logging: one line an event, to standard error. What belongs to a trace names it."""

import logging
import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from domain.access import KEY_PREFIX

Format = Literal["text", "json"]

_SECRETS = re.compile(
    rf"\b({KEY_PREFIX}[a-z0-9]{{10}}_)\w+"  # our keys, whose ids may be said
    r"|\b(bearer\s+)[\w.~+/=-]+"
    r"|\b(eyJ)[\w-]*\.[\w-]*\.[\w-]*"  # a JWT wherever it stands
    r"|(://[^\s/:@]*:)[^\s/@]+(?=@)",  # the password of a URL
    re.IGNORECASE,
)


def set_up_logging(level: str, lines: Format = "text") -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if lines == "json" else _TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Activity failures are retried and shown in the Temporal UI; the SDK would print each with its whole stack.
    logging.getLogger("temporalio").setLevel(logging.ERROR if level != "debug" else logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Nodes warn of every batch of over 5 KiB or ten partitions, which ours are meant to be: grouped by replicas.
    logging.getLogger("cassandra.protocol").setLevel(logging.ERROR)


def redacted(text: str) -> str:
    """The text without what looks like a secret. We log none ourselves; a library may put one into its error."""
    return _SECRETS.sub(lambda found: "".join(part or "" for part in found.groups()) + "***", text)


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        trace_id = getattr(record, "trace_id", None)
        return super().formatMessage(record) + (f" trace_id={trace_id}" if trace_id else "")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The stack of an exception is one text, so that a line stays one."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        trace_id = getattr(record, "trace_id", None)
        if trace_id:
            line["trace_id"] = trace_id
        return redacted(msgspec.json.encode(line).decode())
