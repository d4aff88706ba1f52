"""What is asked for: of when, how much, and of which types."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from api.bodies import Fault, unprocessable
from api.parsing import MOST_BACK_US
from api.problems import fault
from api.schemas import MAX_HISTORY
from domain.interaction import Interaction
from domain.week import WEEKS_KEPT
from doors.bharatml import interaction_store_pb2 as pb
from doors.bharatml.mapping import odd_id
from store.blocks.history import HistoryRange

_MS_US = 1_000


@dataclass(frozen=True, slots=True)
class Range:
    """Milliseconds since the Unix epoch, both included, and how many of each type at the most."""

    start_ms: int
    end_ms: int
    limit: int

    @classmethod
    def of(cls, request: pb.RetrieveDataRequest | pb.RetrieveInteractionsRequest, now_us: int) -> "Range":
        """Raises Problem: 422 with each fault and its field."""
        faults = list(_faults(request, now_us))
        if faults:
            raise unprocessable(faults)
        return cls(request.start_timestamp, request.end_timestamp, request.limit)

    def history(self, event_types: Collection[str], fits: Callable[[Interaction], bool]) -> HistoryRange:
        return HistoryRange(self.start_ms * _MS_US, (self.end_ms + 1) * _MS_US, event_types, fits=fits)


def types_of(request: pb.RetrieveInteractionsRequest) -> Collection[pb.InteractionTypeProto]:
    """Those asked for.

    Raises:
        Problem: 422. There are none, or some that are none.

    """
    asked = list(request.interaction_types)
    if not asked:
        raise unprocessable([fault("interaction_types", "at least one of CLICK and ORDER")])
    known = pb.InteractionTypeProto.values()
    faults = [
        fault(f"interaction_types[{index}]", f"{one} is neither CLICK (0) nor ORDER (1)")
        for index, one in enumerate(asked)
        if one not in known
    ]
    if faults:
        raise unprocessable(faults)
    return asked


def _faults(request: pb.RetrieveDataRequest | pb.RetrieveInteractionsRequest, now_us: int) -> Iterator[Fault]:
    yield from odd_id("user_id", request.user_id)
    if not 1 <= request.limit <= MAX_HISTORY:
        yield fault("limit", f"1 to {MAX_HISTORY}, not {request.limit}")
    start, end = request.start_timestamp, request.end_timestamp
    if start < 0:
        yield fault("start_timestamp", "before 1970")
    if end * _MS_US > now_us:
        yield fault("end_timestamp", "in the future")
    if start >= end:
        yield fault("start_timestamp", "not before end_timestamp")
    elif (end - start) * _MS_US > MOST_BACK_US:
        yield fault("start_timestamp", f"over {WEEKS_KEPT} weeks before end_timestamp")
