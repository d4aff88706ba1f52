"""What the quality of recommendations is measured on is what the files and the laws say."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.recommend_data import Observer, Shop, movielens_shop, oracle_scores, planted_shop
from recommend.evaluation import evaluate, every_new_after
from recommend.training import time_of_share

RATINGS = "7\t2\t5\t881250949\n7\t1\t1\t881250948\n3\t2\t3\t881250950\n"
FILMS = "".join(
    f"{number}|Pélican {number} (1995)|01-Jan-{year}||http://x|0|0|1|" + "|".join("0" * 16) + "\n"
    for number, year in ((1, 1995), (2, 1999))
)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return planted_shop(300, 300, 15_000, seed=4)


def check(shop: Shop) -> None:
    actions = shop.actions
    assert actions.item_ids == ["1", "2"]
    assert actions.account_ids == ["3", "7"]
    assert actions.account.tolist() == [0, 1, 1]
    assert actions.item.tolist() == [1, 0, 1]
    assert [actions.kinds.names[one] for one in actions.kind] == ["rating_medium", "rating_low", "rating_high"]
    assert shop.items.text[0].startswith("Pélican 1")
    assert shop.items.created_us[0] > 0
    assert shop.items.created_us[1] == 0  # It says that the film came out after it was rated.


def test_movielens_from_a_folder_and_from_a_zip(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text(RATINGS)
    (tmp_path / "u.item").write_bytes(FILMS.encode("latin-1"))
    check(movielens_shop(tmp_path))
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for name in ("u.data", "u.item"):
            archive.write(tmp_path / name, f"ml-100k/{name}")
    check(movielens_shop(tmp_path / "films.zip"))


def test_a_zip_without_ratings_is_said_to_be_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(FileNotFoundError, match=r"u\.data"):
        movielens_shop(tmp_path / "empty.zip")


def test_who_knows_more_foretells_more(shop: Shop) -> None:
    moment_us = time_of_share(shop.actions, 0.2)
    places = every_new_after(shop.actions, moment_us)[:600]
    observer = Observer(shop, shop.actions.before(moment_us))
    all_laws, tastes, told = (
        evaluate(shop.actions, places, score).ndcg
        for score in (
            lambda some: oracle_scores(shop, some, knows_companions=True),
            lambda some: oracle_scores(shop, some, knows_companions=False),
            observer.scores,
        )
    )
    assert all_laws > 1.1 * tastes
    assert all_laws > 1.02 * told
    assert told > 0.8 * tastes


def test_chances_of_oracles_are_chances(shop: Shop) -> None:
    places = np.arange(50, 90)
    for knows in (True, False):
        assert oracle_scores(shop, places, knows_companions=knows).sum(axis=1) == pytest.approx(1, rel=1e-4)
