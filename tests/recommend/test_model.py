"""A model in a folder is the model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.actions import Hidden
from recommend import index, model
from recommend.answer import Request
from recommend.index import InvertedFile, LackingIndexError
from recommend.model import LackingRankerError, Model, UnfitModelError
from recommend.recommend import recommend
from recommend.training import train
from tests.recommend.conftest import SETTINGS, Shop
from tests.recommend.test_history import signals_before

_OF_SMALL_SHOPS = {"content_directions", "content_rarity", "linear"}
"""Arrays that do not grow with the catalog, or that a large one has not."""


def answers(shop: Shop, model: Model) -> list[object]:
    found: list[object] = []
    for place in shop.split.places[:20].tolist():
        signals = signals_before(shop.actions, place)
        now_us = int(shop.actions.at_us[place])
        found.append(recommend(model, Request("a", limit=10), signals, Hidden(), now_us))
        similar = Request("a", limit=10, context="similar", item_id=signals[0].item_id)
        found.append(recommend(model, similar, signals, Hidden(), now_us))
    return found


def test_what_is_read_back_answers_the_same(shop: Shop, tmp_path: Path) -> None:
    shop.model.to_folder(tmp_path / "model")
    assert answers(shop, Model.from_folder(tmp_path / "model")) == answers(shop, shop.model)


def test_arrays_are_mapped_and_not_loaded(shop: Shop, tmp_path: Path) -> None:
    shop.model.to_folder(tmp_path)
    model = Model.from_folder(tmp_path)
    assert type(model.parts.then.item) is np.ndarray
    assert isinstance(model.parts.then.item.base, np.memmap)
    assert not model.parts.then.item.flags.writeable


def test_inverted_files_are_kept_too(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EXACT_UP_TO", 10)
    parts, ranker = train(shop.split.known, shop.items, SETTINGS)
    model = Model("lists", parts, shop.actions.kinds, ranker, SETTINGS.candidates)
    model.to_folder(tmp_path)
    read = Model.from_folder(tmp_path)
    assert isinstance(read.parts.by_embedding, InvertedFile)
    assert isinstance(read.parts.by_content, InvertedFile)
    assert answers(shop, read) == answers(shop, model)


def test_a_large_one_is_written_smaller_and_answers_nearly_the_same(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.model.to_folder(tmp_path / "whole")
    monkeypatch.setattr(model, "_LARGE", 10)
    shop.model.to_folder(tmp_path / "small")
    whole, small = (
        sum(file.stat().st_size for file in (tmp_path / name).glob("*.npy") if file.stem not in _OF_SMALL_SHOPS)
        for name in ("whole", "small")
    )
    assert small < 0.8 * whole
    read = Model.from_folder(tmp_path / "small")
    assert read.parts.embeddings.item_factors.dtype == np.float16
    same = [
        _top(one) & _top(other) for one, other in zip(answers(shop, read), answers(shop, shop.model), strict=True)
    ]
    assert np.mean([len(one) for one in same]) > 8


def _top(answer: Any) -> set[str]:
    return {one.item_id for one in answer.items}


def test_a_folder_without_a_model_is_said_to_be_unfit(tmp_path: Path) -> None:
    with pytest.raises(UnfitModelError):
        Model.from_folder(tmp_path)


@pytest.mark.parametrize("change", [{"format": 0}, {"features": ["then_last"]}])
def test_a_model_of_other_features_or_format_is_unfit(shop: Shop, tmp_path: Path, change: dict[str, object]) -> None:
    shop.model.to_folder(tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(described | change))
    with pytest.raises(UnfitModelError):
        Model.from_folder(tmp_path)


def test_a_model_without_its_ranker_lacks_it(shop: Shop, tmp_path: Path) -> None:
    shop.model.to_folder(tmp_path)
    whole = (tmp_path / "ranker.txt").read_bytes()
    for left in (whole[: len(whole) // 2], b"\0" * len(whole), None):
        if left is None:
            (tmp_path / "ranker.txt").unlink()
        else:
            (tmp_path / "ranker.txt").write_bytes(left)
        model = Model.from_folder(tmp_path)
        assert list(model.lacking) == ["ranker"]
        with pytest.raises(LackingRankerError):
            answers(shop, model)


@pytest.mark.parametrize("name", ["embedding.faiss", "content.faiss"])
def test_a_model_without_an_index_lacks_it(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(index, "EXACT_UP_TO", 10)
    parts, ranker = train(shop.split.known, shop.items, SETTINGS)
    Model("lists", parts, shop.actions.kinds, ranker, SETTINGS.candidates).to_folder(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for left in (whole[: len(whole) // 2], None):
        if left is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(left)
        model = Model.from_folder(tmp_path)
        assert list(model.lacking) == ["index"]
        with pytest.raises(LackingIndexError):
            answers(shop, model)


def test_without_an_array_there_is_no_model(shop: Shop, tmp_path: Path) -> None:
    shop.model.to_folder(tmp_path)
    cut = (tmp_path / "item_factors.npy").read_bytes()[:-100]
    (tmp_path / "item_factors.npy").write_bytes(cut)
    with pytest.raises(UnfitModelError):
        Model.from_folder(tmp_path)
