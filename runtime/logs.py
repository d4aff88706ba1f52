"""Logging: one line an event, to standard error."""

import logging


def set_up_logging(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    # Activity failures are retried and shown in the Temporal UI; the SDK would print each with its whole stack.
    logging.getLogger("temporalio").setLevel(logging.ERROR if level != "debug" else logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Nodes warn of every batch of over 5 KiB or ten partitions, which ours are meant to be: grouped by replicas.
    logging.getLogger("cassandra.protocol").setLevel(logging.ERROR)
