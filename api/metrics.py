"""What the front door counts; GET /metrics has it as Prometheus text."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

from api.registry import registry

REFUSED = Counter(
    "footfall_requests_refused", "Answers that are problems, by reason and status.", ["reason", "status"]
)
BACKLOG_EVENTS = Gauge(
    "footfall_backlog_events",
    "Interactions accepted and not yet in every read model, of the whole intake.",
    multiprocess_mode="mostrecent",
)
BACKLOG_AGE_SECONDS = Gauge(
    "footfall_backlog_age_seconds", "Age of the oldest of these.", multiprocess_mode="mostrecent"
)

EXPOSURES_LOST = Counter(
    "footfall_exposures_lost", "Answers in experiments of which it could not be recorded that they were given."
)

router = APIRouter(tags=["operations"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    backlog = request.state.services.entrance.backlog
    BACKLOG_EVENTS.set(backlog.events)
    BACKLOG_AGE_SECONDS.set(backlog.oldest_age_s())
    return Response(generate_latest(registry()), media_type=CONTENT_TYPE_LATEST)
