"""The fan-out into a topic: what was accepted, for others of the shop to read, each at least once."""

from collections.abc import Iterator, Sequence
from typing import ClassVar
from uuid import UUID

import msgspec

from activities.fan_out import Resources
from domain.errors import PermanentError
from domain.interaction import Interaction
from domain.readable import readable
from intake.log import IntakeRow
from store.topic import Topic, TopicMessage

_encode = msgspec.json.Encoder().encode


class Publish:
    """A message is an item of GET /interactions, under its event id.

    Its time is that of its writing: by what an app says of `occurred_at` a broker would drop it as long out of keep.
    """

    name: ClassVar[str] = "publish"

    def __init__(self, resources: Resources) -> None:
        self._log = resources.log
        self._topic = resources.topic

    async def apply(self, rows: Sequence[IntakeRow]) -> set[UUID]:
        """Whatever fails before the mark leaves messages in the topic that come once more, under the same keys."""
        done = await self._log.marked(self.name, [row.intake_id for row in rows])
        todo = [row for row in rows if row.intake_id not in done]
        if not todo:
            return set()
        topic = self._configured()
        topic.check()
        await topic.write(one for row in todo for one in messages(row.interactions))
        return await self._log.mark_alone(self.name, todo)

    async def probe(self, interactions: Sequence[Interaction]) -> None:
        """Without a write: what readers got can't be taken back."""
        most_bytes = self._configured().most_bytes
        for one in messages(interactions):
            if len(one.value) > most_bytes:
                raise PermanentError(f"{len(one.value)} bytes as JSON; a message has {most_bytes} at the most")

    def _configured(self) -> Topic:
        if self._topic is None:
            raise PermanentError(
                "this worker has no FOOTFALL_PUBLISH_TOPIC, and what started the batch had: set it for all processes "
                "and replay, or discard"
            )
        return self._topic


def messages(interactions: Sequence[Interaction]) -> Iterator[TopicMessage]:
    """The account is in the body alone: headers are what routers and their logs look at."""
    for one in readable(interactions):
        yield TopicMessage(one.event_id.encode(), _encode(one), [("event_type", one.event_type.encode())])
