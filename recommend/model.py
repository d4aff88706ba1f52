"""A trained model: what serving needs, in arrays that are shared by mapping their files.

Without its arrays there is no model. Without the ranker or an index of vectors there is one that lacks it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain.errors import PermanentError, TransientError
from recommend.candidates import CandidateSettings
from recommend.catalog import ItemTable
from recommend.content import Content
from recommend.embeddings import Embeddings, Transitions
from recommend.features import NAMES
from recommend.index import Exact, InvertedFile, LackingIndex, NearestItems
from recommend.kinds import Kinds
from recommend.linear import Linear
from recommend.moves import Moves
from recommend.neighbours import Lists
from recommend.parts import Parts
from recommend.popular import Snapshot
from recommend.ranking import Ranker

_FORMAT = 2
_RANKER, _EMBEDDING, _CONTENT = "ranker.txt", "embedding.faiss", "content.faiss"

_LARGE = 100_000
"""Items beyond which vectors and scores are written in half precision, and lists cut: a million items take 1.3 GB in
place of 3.4, and likeness is told apart to three digits.
"""
_LARGE_LIST = 32
_LISTS = frozenset(f"{name}_{part}" for name in ("together", "then", "next") for part in ("item", "score"))
_HALVED = frozenset(
    {"item_factors", "transition_leading", "transition_following", "content_vectors"}
    | {name for name in _LISTS if name.endswith("score")}
)

Lackable = Literal["ranker", "index"]
_T = TypeVar("_T")


class UnfitModelError(PermanentError):
    """The folder holds no model, or one of another format or with other features than this program computes."""


class LackingRankerError(TransientError):
    """The ranker could not be read; the next model brings another."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    version: str
    parts: Parts
    kinds: Kinds
    ranker: Ranker | None
    """None where it is lacking."""
    candidates: CandidateSettings
    lacking: Mapping[Lackable, str] = field(default_factory=dict)
    """What could not be read, and why."""
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
        """Writes a model that lacks nothing into an empty or new folder; a model in a folder never changes."""
        folder.mkdir(parents=True, exist_ok=True)
        is_large = len(self.parts.items) > _LARGE
        for name, array in _arrays(self).items():
            np.save(folder / f"{name}.npy", _compact(name, array) if is_large else array, allow_pickle=False)
        pq.write_table(
            pa.table({"item_id": pa.array(self.parts.items.item_ids, pa.string())}), folder / "items.parquet"
        )
        assert self.ranker is not None  # noqa: S101  (see above)
        self.ranker.booster.save_model(folder / _RANKER)
        for name, nearest in ((_EMBEDDING, self.parts.by_embedding), (_CONTENT, self.parts.by_content)):
            if isinstance(nearest, InvertedFile):
                nearest.to_file(folder / name)
        lackable = (folder / name for name in (_RANKER, _EMBEDDING, _CONTENT))
        digests = {file.name: _digest(file) for file in lackable if file.exists()}
        (folder / "model.json").write_text(json.dumps(_described(self) | {"digests": digests}))

    @staticmethod
    def from_folder(folder: Path) -> "Model":
        """Maps the arrays: processes on one machine share them, and they are read as they are needed.

        Raises:
            UnfitModelError: see there; or an array is missing, or cut off.

        """
        try:
            described = json.loads((folder / "model.json").read_text())
            if described.get("format") != _FORMAT or described.get("features") != list(NAMES):
                raise UnfitModelError(f"{folder}: format {described.get('format')}, or features, of another program")
            ids = pq.read_table(folder / "items.parquet")["item_id"].to_pylist()
            return _assembled(folder, described, ids)
        except (OSError, ValueError) as error:
            raise UnfitModelError(f"{folder}: {error}") from error


def _compact(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if name in _LISTS:
        array = array[:, :_LARGE_LIST]
    return array.astype(np.float16) if name in _HALVED else array


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _arrays(model: Model) -> dict[str, NDArray[Any]]:
    parts, items, kinds, ranker = model.parts, model.parts.items, model.kinds, model.ranker
    assert ranker is not None  # noqa: S101  (to_folder's)
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
        "linear": parts.linear.weights,
        "group": parts.moves.group,
        "onward": parts.moves.onward,
        "arriving": parts.moves.arriving,
        "next_item": parts.moves.next.item,
        "next_score": parts.moves.next.score,
        "left": parts.moves.left,
        "content_vectors": parts.content.item_vectors,
        "content_rarity": parts.content.rarity,
        "content_directions": parts.content.directions,
        "item_features": parts.snapshot.features,
        "popular": parts.snapshot.popular,
        "trending": parts.snapshot.trending,
        "by_group": parts.snapshot.by_group,
        "group_starts": parts.snapshot.group_starts,
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


def _assembled(folder: Path, described: Mapping[str, Any], ids: Sequence[str]) -> Model:
    lacking: dict[Lackable, str] = {}

    def unless_lacking(part: Lackable, name: str, read: Callable[[Path], _T]) -> _T | None:
        """What `read` makes of the file. It is compared first: LightGBM ends the process at one that is cut off."""
        try:
            if _digest(folder / name) == described["digests"][name]:
                return read(folder / name)
            lacking[part] = f"{name} is not what was written"
        except OSError as error:
            lacking[part] = f"{name} can't be read: {error}"
        return None

    def load(name: str) -> Any:
        """As a plain array: indexing numpy's own class for mapped files costs several times as much."""
        return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)

    def nearest(name: str) -> NearestItems:
        if name not in described["digests"]:
            return Exact()
        return unless_lacking("index", name, InvertedFile.from_file) or LackingIndex()

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
        Moves(
            load("group"),
            load("onward"),
            load("arriving"),
            Lists(load("next_item"), load("next_score")),
            load("left"),
        ),
        Linear(load("linear")),
        Content(load("content_vectors"), load("content_rarity"), load("content_directions")),
        Snapshot(
            described["moment_us"],
            load("item_features"),
            load("popular"),
            load("trending"),
            load("by_group"),
            load("group_starts"),
        ),
        nearest(_EMBEDDING),
        nearest(_CONTENT),
    )
    kinds = Kinds(
        described["kinds"], load("weight"), load("interest"), load("is_view"), load("is_cart"), load("is_purchase")
    )
    booster = unless_lacking("ranker", _RANKER, lambda file: lightgbm.Booster(model_file=file))
    ranker = None if booster is None else Ranker(booster, load("ranker_scores"), load("ranker_chances"))
    return Model(described["version"], parts, kinds, ranker, CandidateSettings(**described["candidates"]), lacking)
