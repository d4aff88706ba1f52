"""A trained model: what serving needs, in arrays that are shared by mapping their files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain.errors import PermanentError
from recommend.candidates import CandidateSettings
from recommend.catalog import ItemTable
from recommend.content import Content
from recommend.embeddings import Embeddings, Transitions
from recommend.features import NAMES
from recommend.index import Exact, InvertedFile, NearestItems
from recommend.kinds import Kinds
from recommend.neighbours import Lists
from recommend.parts import Parts
from recommend.popular import Snapshot
from recommend.ranking import Ranker

_FORMAT = 1


class UnfitModelError(PermanentError):
    """The folder holds no model, or one of another format or with other features than this program computes."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    version: str
    parts: Parts
    kinds: Kinds
    ranker: Ranker
    candidates: CandidateSettings
    item_codes: Mapping[str, int] = field(init=False)
    category_codes: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        items = self.parts.items
        object.__setattr__(self, "item_codes", {one: code for code, one in enumerate(items.item_ids)})
        object.__setattr__(self, "category_codes", {one: code for code, one in enumerate(items.category_names)})

    @property
    def trained_until_us(self) -> int:
        """The model knows no action from this moment on."""
        return self.parts.snapshot.moment_us

    def to_folder(self, folder: Path) -> None:
        """Writes the model into an empty or new folder; a model in a folder never changes."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in _arrays(self).items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        pq.write_table(
            pa.table({"item_id": pa.array(self.parts.items.item_ids, pa.string())}), folder / "items.parquet"
        )
        self.ranker.booster.save_model(folder / "ranker.txt")
        for name, nearest in (("embedding", self.parts.by_embedding), ("content", self.parts.by_content)):
            if isinstance(nearest, InvertedFile):
                nearest.to_file(folder / f"{name}.faiss")
        (folder / "model.json").write_text(json.dumps(_described(self)))

    @staticmethod
    def from_folder(folder: Path) -> "Model":
        """Maps the arrays: processes on one machine share them, and they are read as they are needed.

        Raises:
            UnfitModelError: see there.

        """
        try:
            described = json.loads((folder / "model.json").read_text())
        except (OSError, ValueError) as error:
            raise UnfitModelError(f"{folder}: {error}") from error
        if described.get("format") != _FORMAT or described.get("features") != list(NAMES):
            raise UnfitModelError(f"{folder}: format {described.get('format')}, or other features than {_FORMAT}'s")
        ids = pq.read_table(folder / "items.parquet")["item_id"].to_pylist()
        booster = lightgbm.Booster(model_file=folder / "ranker.txt")
        return _assembled(folder, described, ids, booster)


def _arrays(model: Model) -> dict[str, NDArray[Any]]:
    parts, items, kinds, ranker = model.parts, model.parts.items, model.kinds, model.ranker
    return {
        "category": items.category,
        "subcategory": items.subcategory,
        "price": items.price,
        "created_us": items.created_us,
        "is_active": items.is_active,
        "in_stock": items.in_stock,
        "item_factors": parts.embeddings.item_factors,
        "gram": parts.embeddings.gram,
        "together_item": parts.together.item,
        "together_score": parts.together.score,
        "then_item": parts.then.item,
        "then_score": parts.then.score,
        "transition_leading": parts.transitions.leading,
        "transition_following": parts.transitions.following,
        "content_vectors": parts.content.item_vectors,
        "content_rarity": parts.content.rarity,
        "content_directions": parts.content.directions,
        "item_features": parts.snapshot.features,
        "popular": parts.snapshot.popular,
        "trending": parts.snapshot.trending,
        "weight": kinds.weight,
        "interest": kinds.interest,
        "is_view": kinds.is_view,
        "is_cart": kinds.is_cart,
        "is_purchase": kinds.is_purchase,
        "ranker_scores": ranker.scores,
        "ranker_chances": ranker.chances,
    }


def _described(model: Model) -> dict[str, object]:
    items = model.parts.items
    return {
        "format": _FORMAT,
        "features": list(NAMES),
        "version": model.version,
        "moment_us": model.parts.snapshot.moment_us,
        "alpha": model.parts.embeddings.alpha,
        "kinds": list(model.kinds.names),
        "category_names": list(items.category_names),
        "subcategory_names": list(items.subcategory_names),
        "candidates": asdict(model.candidates),
    }


def _assembled(folder: Path, described: Mapping[str, Any], ids: Sequence[str], booster: lightgbm.Booster) -> Model:
    def load(name: str) -> Any:
        """As a plain array: indexing numpy's own class for mapped files costs several times as much."""
        return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)

    def nearest(name: str) -> NearestItems:
        path = folder / f"{name}.faiss"
        return InvertedFile.from_file(path) if path.exists() else Exact()

    items = ItemTable(
        ids, (), load("category"), load("subcategory"), load("price"), load("created_us"), load("is_active"),
        load("in_stock"), described["category_names"], described["subcategory_names"],
    )  # fmt: skip
    parts = Parts(
        items,
        Embeddings(load("item_factors"), load("gram"), described["alpha"]),
        Lists(load("together_item"), load("together_score")),
        Lists(load("then_item"), load("then_score")),
        Transitions(load("transition_leading"), load("transition_following")),
        Content(load("content_vectors"), load("content_rarity"), load("content_directions")),
        Snapshot(described["moment_us"], load("item_features"), load("popular"), load("trending")),
        nearest("embedding"),
        nearest("content"),
    )
    kinds = Kinds(
        described["kinds"], load("weight"), load("interest"), load("is_view"), load("is_cart"), load("is_purchase")
    )
    ranker = Ranker(booster, load("ranker_scores"), load("ranker_chances"))
    return Model(described["version"], parts, kinds, ranker, CandidateSettings(**described["candidates"]))
