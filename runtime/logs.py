"""Logging: one line an event, to standard error."""

import logging
import re

from domain.access import KEY_PREFIX

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SECRETS = re.compile(
    rf"\b({KEY_PREFIX}[a-z0-9]{{10}}_)\w+"  # our keys, whose ids may be said
    r"|\b(bearer\s+)[\w.~+/=-]+"
    r"|\b(eyJ)[\w-]*\.[\w-]*\.[\w-]*"  # a JWT wherever it stands
    r"|(://[^\s/:@]*:)[^\s/@]+(?=@)",  # the password of a URL
    re.IGNORECASE,
)


def set_up_logging(level: str) -> None:
    logging.basicConfig(level=level.upper(), force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Redacting(_FORMAT))
    # Activity failures are retried and shown in the Temporal UI; the SDK would print each with its whole stack.
    logging.getLogger("temporalio").setLevel(logging.ERROR if level != "debug" else logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Nodes warn of every batch of over 5 KiB or ten partitions, which ours are meant to be: grouped by replicas.
    logging.getLogger("cassandra.protocol").setLevel(logging.ERROR)


def redacted(text: str) -> str:
    """The text without what looks like a secret. We log none ourselves; a library may put one into its error."""
    return _SECRETS.sub(lambda found: "".join(part or "" for part in found.groups()) + "***", text)


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
