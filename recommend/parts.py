"""Everything that is learned from actions and catalog before ranking: fitted at once, as of one moment."""

from dataclasses import dataclass, field

import numpy as np

from recommend.actions import ActionTable
from recommend.arrays import Codes, Floats
from recommend.catalog import ItemTable
from recommend.content import Content, fit_content
from recommend.embeddings import Embeddings, EmbeddingSettings, fit_embeddings
from recommend.neighbours import Lists, fit_then, fit_together
from recommend.popular import Snapshot, snapshot


@dataclass(frozen=True, slots=True)
class PartSettings:
    embeddings: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    list_length: int = 100
    half_life_days: float = 60.0
    tempering: float = 0.3
    content_dimensions: int = 64


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    items: ItemTable
    embeddings: Embeddings
    together: Lists
    then: Lists
    content: Content
    snapshot: Snapshot

    def nearest_items(self, vector: Floats, count: int) -> tuple[Codes, Floats]:
        return _highest(self.embeddings.item_factors, vector, count)

    def nearest_content(self, vector: Floats, count: int) -> tuple[Codes, Floats]:
        return _highest(self.content.item_vectors, vector, count)


def fit_parts(actions: ActionTable, items: ItemTable, moment_us: int, settings: PartSettings, threads: int) -> Parts:
    """`actions` are those that the parts may know: none of them at or after `moment_us`."""
    return Parts(
        items,
        fit_embeddings(actions, settings.embeddings, threads),
        fit_together(actions, settings.list_length, settings.half_life_days),
        fit_then(actions, settings.list_length, settings.tempering),
        fit_content(items, settings.content_dimensions),
        snapshot(actions, items, moment_us),
    )


def _highest(vectors: Floats, vector: Floats, count: int) -> tuple[Codes, Floats]:
    scores = vectors @ vector
    best = np.argpartition(-scores, min(count, len(scores) - 1))[:count]
    best = best[scores[best] > 0]
    best = best[np.argsort(-scores[best], kind="stable")]
    return best.astype(np.int32), scores[best].astype(np.float32)
