"""The contract around a batch: what the intake starts, the workflow takes and the activities answer.

Everything here travels through Temporal as JSON and stays in histories: add fields with defaults, rename none.
No interaction ever travels there: a batch is named by its id and read from the intake log.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

TASK_QUEUE = "footfall"
RECORD_INTERACTIONS = "RecordInteractions"

RELEASE = "release"
PARK = "park"
DISCARD = "discard"
MAINTAIN = "maintain"

MAINTAIN_STORES = "MaintainStores"

MANY_ACCOUNTS = "many"
_MOST_ACCOUNT_KEYS = 50


@dataclass(frozen=True, slots=True)
class BatchInput:
    """Input of RecordInteractions. The fan-outs are part of it, so that a replay reads them from history."""

    batch_id: UUID
    fan_outs: list[str]
    local_first: bool = False
    """Whether the first attempt of a step is a local activity; not in histories of before there was this field."""


@dataclass(frozen=True, slots=True)
class FanOutInput:
    batch_id: UUID


@dataclass(frozen=True, slots=True)
class FanOutResult:
    """What one fan-out saw and did. Counts are of interactions without the duplicates."""

    events: int
    accounts: int
    applied_rows: int
    """Intake rows applied by this run; rows that an earlier run had applied are not counted."""
    first_occurred_at: datetime | None = None
    last_occurred_at: datetime | None = None
    quarantined: int = 0
    """Interactions that this fan-out can't apply and that are set aside."""
    account_keys: list[str] = field(default_factory=list)
    """What the batch is found by; see `account_keys`."""


def account_key(account_id: str) -> str:
    """What stands for an account in Temporal: 12 hex digits of its SHA-256, so that no account id is kept there."""
    return hashlib.sha256(account_id.encode()).hexdigest()[:12]


def account_keys(account_ids: set[str]) -> list[str]:
    """The keys of a batch's accounts, or MANY_ACCOUNTS alone: an attribute of Temporal holds so much."""
    if len(account_ids) > _MOST_ACCOUNT_KEYS:
        return [MANY_ACCOUNTS]
    return sorted(map(account_key, account_ids))


@dataclass(frozen=True, slots=True)
class ParkInput:
    batch_id: UUID
    fan_out: str
    reason: str


@dataclass(frozen=True, slots=True)
class DiscardRequest:
    """What an operator sends to the update `discard`."""

    reason: str
    """Why the batch does without these; kept."""
    fan_outs: list[str] = field(default_factory=list)
    """Parked ones; an empty list means all that are parked."""


@dataclass(frozen=True, slots=True)
class DiscardInput:
    batch_id: UUID
    fan_out: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReleaseInput:
    batch_id: UUID
    fan_outs: list[str]


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    released_rows: int
    remaining_rows: int
    """Rows of the batch that lack a mark of some fan-out; the sweeper will carry them."""
