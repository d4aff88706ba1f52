"""The catalog in columns, and what it says of the past."""

import pyarrow as pa
import pytest

from domain.event_types import load_event_weights
from recommend.actions import ActionTable, read_actions
from recommend.catalog import catalog_ids, read_items, unknown_items, with_credible_ages
from recommend.parts import PartSettings, fit_parts
from recommend.training import TooLittleError, TrainingSettings, learn_to_rank


@pytest.fixture
def catalog() -> pa.Table:
    return pa.table({"item_id": ["cup", "pot", "lamp"], "created_at_us": [5, 50, 50]})


@pytest.fixture
def actions(catalog: pa.Table) -> ActionTable:
    table = pa.table(
        {
            "account_id": ["a", "b", "a"],
            "item_id": ["cup", "pot", "pot"],
            "event_type": ["view", "view", "purchase"],
            "occurred_at": [10, 20, 60],
        }
    )
    return read_actions(table, load_event_weights(), catalog_ids(catalog))


def test_an_item_that_was_dealt_with_before_its_creation_has_an_unknown_age(
    catalog: pa.Table, actions: ActionTable
) -> None:
    told = read_items(catalog, actions.item_ids)
    assert with_credible_ages(told, actions).created_us.tolist() == [5, 0, 50]


def test_with_nothing_to_learn_from_training_says_so(actions: ActionTable) -> None:
    parts = fit_parts(actions, unknown_items(actions.item_ids), 100, PartSettings(), 1)
    with pytest.raises(TooLittleError, match="3 actions are too few"):
        learn_to_rank(parts, actions, actions.at_us > 1_000, TrainingSettings(threads=1))
