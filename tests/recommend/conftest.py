"""A small planted shop and a model of it, made once: nobody changes them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from threadpoolctl import threadpool_limits

from domain.event_types import load_event_weights
from recommend.actions import ActionTable, read_actions
from recommend.candidates import CandidateSettings
from recommend.catalog import ItemTable, catalog_ids, read_items
from recommend.evaluation import Split, last_new_items
from recommend.model import Model
from recommend.planted import PlantedShop, plant
from recommend.ranking import Ranker, RankerSettings
from recommend.training import TrainingSettings, train

SETTINGS = TrainingSettings(
    candidates=CandidateSettings(small_catalog=0),
    ranker=RankerSettings(trees=60),
    questions=1_500,
    threads=1,
)


@dataclass(frozen=True)
class Shop:
    planted: PlantedShop
    actions: ActionTable
    items: ItemTable
    split: Split
    """The last new item of each account, and all after it, is kept from the model."""
    model: Model

    @property
    def ranker(self) -> Ranker:
        assert self.model.ranker is not None
        return self.model.ranker


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """As steps of training have it: two threads of BLAS wait for each other where the cores have other work too."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="session")
def shop() -> Shop:
    planted = plant(accounts=600, items=400, events=30_000, weeks=4, taste_size=25, seed=3)
    actions = read_actions(planted.actions, load_event_weights(), catalog_ids(planted.items))
    items = read_items(planted.items, actions.item_ids)
    split = last_new_items(actions)
    parts, ranker = train(split.known, items, SETTINGS)
    model = Model("test", parts, actions.kinds, ranker, replace(SETTINGS.candidates))
    return Shop(planted, actions, items, split, model)
