"""Everything that is learned from actions and catalog before ranking: fitted at once, as of one moment."""

from dataclasses import dataclass, field

import numpy as np

from recommend.actions import ActionTable
from recommend.arrays import Codes, Floats, floats
from recommend.catalog import ItemTable
from recommend.content import Content, fit_content
from recommend.embeddings import Embeddings, EmbeddingSettings, Transitions, fit_embeddings, fit_transitions
from recommend.index import NearestItems, nearest_items
from recommend.linear import Linear, fit_linear
from recommend.moves import Moves, fit_moves
from recommend.neighbours import Lists, count_moves, fit_then, fit_together
from recommend.popular import Snapshot, snapshot


@dataclass(frozen=True, slots=True)
class PartSettings:
    embeddings: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    transitions: EmbeddingSettings = field(default_factory=lambda: EmbeddingSettings(factors=32))
    list_length: int = 100
    half_life_days: float = 60.0
    tempering: float = 0.3
    content_dimensions: int = 64
    regularization: float = 200.0
    """Of the linear model of small catalogs."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    items: ItemTable
    embeddings: Embeddings
    together: Lists
    then: Lists
    transitions: Transitions
    moves: Moves
    linear: Linear
    content: Content
    snapshot: Snapshot
    by_embedding: NearestItems
    by_content: NearestItems

    def nearest_items(self, vector: Floats, count: int) -> tuple[Codes, Floats]:
        return self.by_embedding.search(self.embeddings.item_factors, vector, count)

    def nearest_content(self, vector: Floats, count: int) -> tuple[Codes, Floats]:
        return self.by_content.search(self.content.item_vectors, vector, count)


def fit_parts(actions: ActionTable, items: ItemTable, moment_us: int, settings: PartSettings, threads: int) -> Parts:
    """`actions` are those that the parts may know: none of them at or after `moment_us`."""
    embeddings = fit_embeddings(actions, settings.embeddings, threads)
    content = fit_content(items, settings.content_dimensions)
    moves = fit_moves(actions, _sides(embeddings, content), threads)
    counts = count_moves(actions)
    return Parts(
        items,
        embeddings,
        fit_together(actions, settings.list_length, settings.half_life_days),
        fit_then(counts, settings.list_length, settings.tempering),
        fit_transitions(counts, settings.transitions, threads),
        moves,
        fit_linear(actions, settings.regularization),
        content,
        snapshot(actions, items, moves.group, moment_us),
        nearest_items(embeddings.item_factors, threads),
        nearest_items(content.item_vectors, threads),
    )


def _sides(embeddings: Embeddings, content: Content) -> Floats:
    """Of each item who deals with it, and its words, each of length 1 or 0."""
    lengths = np.linalg.norm(embeddings.item_factors, axis=1, keepdims=True)
    return floats(np.hstack([embeddings.item_factors / np.maximum(lengths, 1e-9), content.item_vectors]))
