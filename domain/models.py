"""Models of the recommender as the registry knows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["candidate", "current", "retired", "refused"]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    version: str
    state: State
    location: str
    """The folder of its files, as fsspec understands it; empty once they were removed."""
    fingerprint: str
    """SHA-256 of what it was trained on, in hex."""
    metrics: Mapping[str, float]
    reason: str | None
    """Why it was refused, or switched to by hand."""
    trained_at: datetime
    activated_at: datetime | None
    """When it last became the current one."""
