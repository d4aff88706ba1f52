"""What the routes work with: opened once by the process, handed to each request as its state."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from api.assignments import Assignments, Exposures
from api.leaving import Leaving
from api.security.gate import Gate
from api.shared_reads import SharedReads
from domain.shard import Shard
from intake.entrance import Entrance
from intake.erasures import Erasures
from intake.export import Exporter
from intake.ledger import LedgerDays
from intake.receipts import Receipts
from intake.releases import Releases
from serving.ladder import Ladder
from store.blocks.protocol import BlockReader
from store.catalog import CatalogStore
from store.experiments import ExperimentStore
from store.popularity import PopularityStore
from store.signals import SignalStore


@dataclass(frozen=True, slots=True)
class Services:
    gate: Gate
    entrance: Entrance
    ledger_days: LedgerDays
    receipts: Receipts
    releases: Releases
    popularity: PopularityStore
    tops: SharedReads[bytes]
    """Answers of /popularity/top, by its parameters."""
    catalog: CatalogStore
    blocks: BlockReader
    signals: SignalStore
    recommendations: Ladder
    experiments: ExperimentStore
    assignments: Assignments
    exposures: Exposures
    erasures: Erasures
    exporter: Exporter
    fan_outs: Sequence[str]
    shard: Shard | None
    """None where the intake is not divided."""
    leaving: Leaving
    has_begun: Callable[[], bool]
    """Whether all that is read once, at the start, is read."""
    checks: Mapping[str, Callable[[], Awaitable[None]]]
    """Dependency → a call that returns when it answers."""


class State(TypedDict):
    services: Services
