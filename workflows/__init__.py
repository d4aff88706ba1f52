"""Deterministic orchestration only: what runs in which order, and what happens when a part fails."""

from workflows.compact_blocks import CompactBlocks
from workflows.erase_account import EraseAccount
from workflows.maintain_stores import MaintainStores
from workflows.precompute_recommendations import PrecomputeRecommendations
from workflows.rebuild_popularity import RebuildPopularity
from workflows.record_interactions import RecordInteractions
from workflows.train_model import TrainModel
from workflows.train_nightly import TrainNightly

WORKFLOWS = (
    RecordInteractions,
    MaintainStores,
    CompactBlocks,
    RebuildPopularity,
    TrainModel,
    TrainNightly,
    PrecomputeRecommendations,
    EraseAccount,
)
