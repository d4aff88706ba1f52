"""From the bytes of a message to the interactions in it, and what is wrong with the others. Pure.

A message that is read again, by whoever, has to give the same ids and the same times: those of the app where it sent
them, else such as follow from where and when the message was written. So the ledger meets it again, under the same
day.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from api.bodies import Fault, Parsed
from api.parsing import INTERACTIONS, MOST_AHEAD_US, MOST_BACK_US, odd_time
from api.problems import Problem, fault
from api.schemas import InteractionIn
from api.stamping import interaction_of
from domain.ids import derive_id_of_time
from domain.interaction import Interaction
from domain.week import to_us
from intake.ledger import LedgerDays
from intake.log import NewInteraction


class Place(NamedTuple):
    """Where and when a message was written."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    """Milliseconds since the Unix epoch, by the producer or the broker; None in topics that have none."""

    def event_id(self, index: int) -> bytes:
        """The id of the interaction at `index` of the message.

        The time is part of it: in a topic that was deleted and made anew the offsets begin again. And as it comes
        first, the ledger's index grows at its end, which takes PostgreSQL half the work that ids at random do.
        """
        at = b"%d %d %d" % (self.partition, self.offset, index)
        return derive_id_of_time(self.timestamp_ms or 0, b"kafka", self.topic.encode(), at)


class Drawn(NamedTuple):
    """An interaction of a message."""

    interaction: Interaction
    own_time: bool
    """Whether the app said when it occurred."""
    own_id: bool
    """Whether the app gave its id."""


class Contents(NamedTuple):
    """What a message holds: the valid interactions, in order, and what is wrong with the others, or with it all."""

    valid: list[Drawn]
    faults: list[Fault]
    kind: str = "invalid"
    """What is wrong in one word, where something is."""


Format = Callable[[bytes, Place, int], Contents]
"""A message's value, where it was, and the present in microseconds since the Unix epoch."""


def read_message(
    read: Format, value: bytes | None, place: Place, now_us: int, days: LedgerDays
) -> tuple[list[NewInteraction], Contents]:
    """The interactions of a message on their way in, and all that was found in it."""
    if value is None:
        return [], Contents([], [fault("#", "the message has no value")], "no_value")
    contents = read(value, place, now_us)
    return [_filed(one, now_us, days) for one in contents.valid], contents


def _filed(one: Drawn, now_us: int, days: LedgerDays) -> NewInteraction:
    file = days.file_sent if one.own_id and not one.own_time else days.file
    return file(one.interaction, now_us)


def read_interactions(value: bytes, place: Place, now_us: int) -> Contents:
    """What POST /interaction takes as a body: one object, or a list of them under `interactions`."""
    try:
        parsed = INTERACTIONS.parse(value, now_us)
    except Problem as problem:
        return refused(problem)
    faults = parsed.faults
    valid = list(_timed(parsed, place, now_us, faults))
    return Contents(valid, faults)


def _timed(parsed: Parsed[InteractionIn], place: Place, now_us: int, faults: list[Fault]) -> Iterator[Drawn]:
    for index, one in parsed.valid:
        if one.occurred_at is not None:
            yield _drawn(one, index, place, to_us(one.occurred_at))
        elif odd := odd_timestamp(place, now_us):
            faults.append(fault(parsed.pointer(index, "occurred_at"), f"not there, and {odd}", index=index))
        else:
            assert place.timestamp_ms is not None  # noqa: S101  (else it is odd)
            yield _drawn(one, index, place, place.timestamp_ms * 1000)


def _drawn(one: InteractionIn, index: int, place: Place, occurred_at: int) -> Drawn:
    event_id = place.event_id(index) if one.event_id is None else one.event_id.bytes
    return Drawn(interaction_of(one, event_id, occurred_at), one.occurred_at is not None, one.event_id is not None)


def odd_timestamp(place: Place, now_us: int) -> str | None:
    """What is wrong with a message's own time, if an interaction is to have it."""
    if place.timestamp_ms is None:
        return "the message has no time either"
    if -MOST_BACK_US <= place.timestamp_ms * 1000 - now_us <= MOST_AHEAD_US:  # as nearly all are
        return None
    found = next(iter(odd_time(place.timestamp_ms * 1000, now_us)), None)
    return found and f"the message's time is {found[1]}"


def refused(problem: Problem) -> Contents:
    """Contents of which nothing is valid."""
    faults = [dict(one) for one in problem.errors]
    kind = "not_json" if problem.reason == "not_json" else "invalid"
    return Contents([], faults or [fault("#", problem.detail)], kind)


def told(faults: list[Fault], most: int = 20) -> str:
    """Faults in a line, each with its place in the message."""
    line = "; ".join(f"{one['pointer']}: {one['reason']}" for one in faults[:most])
    return line + (f"; and {len(faults) - most} more" if len(faults) > most else "")
