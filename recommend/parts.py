"""Everything that is learned from actions and catalog before ranking: fitted at once, as of one moment."""

from dataclasses import dataclass, field

from recommend.actions import ActionTable
from recommend.arrays import Codes, Floats
from recommend.catalog import ItemTable
from recommend.content import Content, fit_content
from recommend.embeddings import Embeddings, EmbeddingSettings, Transitions, fit_embeddings, fit_transitions
from recommend.index import NearestItems, nearest_items
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


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    items: ItemTable
    embeddings: Embeddings
    together: Lists
    then: Lists
    transitions: Transitions
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
    moves = count_moves(actions)
    content = fit_content(items, settings.content_dimensions)
    return Parts(
        items,
        embeddings,
        fit_together(actions, settings.list_length, settings.half_life_days),
        fit_then(moves, settings.list_length, settings.tempering),
        fit_transitions(moves, settings.transitions, threads),
        content,
        snapshot(actions, items, moment_us),
        nearest_items(embeddings.item_factors, threads),
        nearest_items(content.item_vectors, threads),
    )
