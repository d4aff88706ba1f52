"""Records interactions in Footfall and reads what became of them: batched, retried, each counted once."""

from footfall_client.async_client import AsyncClient
from footfall_client.base import log_rejected
from footfall_client.client import Client
from footfall_client.errors import AnswerError, ClosedError, FootfallError, InvalidInteractionError, QueueFullError
from footfall_client.interaction import (
    EventType,
    Interaction,
    JsonValue,
    Metadata,
    RefType,
    add_to_cart,
    purchase,
    view,
)
from footfall_client.outbox import Limits, Rejection, Stats
from footfall_client.queries import Query, Window, history, popularity, receipt, recommendations, top
from footfall_client.version import VERSION

__all__ = [
    "VERSION",
    "AnswerError",
    "AsyncClient",
    "Client",
    "ClosedError",
    "EventType",
    "FootfallError",
    "Interaction",
    "InvalidInteractionError",
    "JsonValue",
    "Limits",
    "Metadata",
    "Query",
    "QueueFullError",
    "RefType",
    "Rejection",
    "Stats",
    "Window",
    "add_to_cart",
    "history",
    "log_rejected",
    "popularity",
    "purchase",
    "receipt",
    "recommendations",
    "top",
    "view",
]
