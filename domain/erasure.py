"""The contract of an erasure: what its workflow takes and answers. It stays in histories, so no account is in it."""

from dataclasses import dataclass
from uuid import UUID

ERASE_ACCOUNT = "EraseAccount"

BEGIN_ERASURE = "begin_erasure"
ERASE_INTERACTIONS = "erase_interactions"
ERASE_TRACES = "erase_traces"
NOTE_ERASED = "note_erased"
FINISH_ERASURE = "finish_erasure"

PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class ErasureInput:
    """Input of EraseAccount. Whose it is stands in the database, for as long as it is under way."""

    erasure_id: UUID


@dataclass(frozen=True, slots=True)
class ErasureBegun:
    settle_s: float
    """After so many seconds whoever was at work when it began has ended."""


def workflow_id(erasure_id: UUID) -> str:
    return f"erase-{erasure_id}"
