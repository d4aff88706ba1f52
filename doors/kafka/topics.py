"""Which topics are read, and of which format the messages of each are. Light: every process reads its settings."""

import re
from typing import Literal, get_args

from domain.errors import InvalidInputError

FormatName = Literal["interaction", "click", "order"]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def parse_topics(text: str) -> dict[str, FormatName]:
    """Topic → its format, of `interactions=interaction,clicks=click`.

    Raises:
        InvalidInputError: it is not that; with the part that is wrong.

    """
    found: dict[str, FormatName] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        topic, _, name = (one.strip() for one in part.partition("="))
        if not _TOPIC.fullmatch(topic):
            raise InvalidInputError(f"{part!r}: {topic!r} is no name of a topic")
        known = next((one for one in FORMAT_NAMES if one == name), None)
        if known is None:
            raise InvalidInputError(f"{part!r}: a topic and its format ({', '.join(FORMAT_NAMES)}), as clicks=click")
        if topic in found:
            raise InvalidInputError(f"{topic!r} is there twice")
        found[topic] = known
    return found
