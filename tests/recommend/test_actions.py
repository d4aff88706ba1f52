"""Actions in columns: sorted, coded, and without what is no signal."""

import pyarrow as pa
import pytest

from domain.event_types import load_event_weights
from recommend.actions import ActionTable, read_actions


@pytest.fixture
def actions() -> ActionTable:
    table = pa.table(
        {
            "account_id": ["b", "a", "b", "a", "b"],
            "item_id": ["cup", "tea", "lamp", "cup", "cup"],
            "event_type": ["view", "purchase", "view", "product_impression", "not_interested"],
            "occurred_at": [30, 10, 20, 15, 40],
            "session_id": ["s", None, "s", None, "t"],
            "price": [None, 2.5, 9.0, None, None],
        }
    )
    return read_actions(table, load_event_weights(), ["lamp", "never"])


def test_actions_are_by_account_and_time_and_impressions_are_none(actions: ActionTable) -> None:
    assert [actions.account_ids[one] for one in actions.account] == ["a", "b", "b", "b"]
    assert [actions.item_ids[one] for one in actions.item] == ["tea", "lamp", "cup", "cup"]
    assert [actions.kinds.names[one] for one in actions.kind] == ["purchase", "view", "view", "not_interested"]
    assert actions.at_us.tolist() == [10, 20, 30, 40]


def test_items_of_the_catalog_are_coded_first_the_others_after_them(actions: ActionTable) -> None:
    assert actions.item_ids == ["lamp", "never", "cup", "tea"]


def test_sessions_are_told_apart_and_may_be_missing(actions: ActionTable) -> None:
    assert actions.session[0] == -1
    assert actions.session[1] == actions.session[2] != actions.session[3]


def test_a_part_of_the_actions_keeps_the_codes_and_knows_its_accounts(actions: ActionTable) -> None:
    early = actions.before(30)
    assert early.at_us.tolist() == [10, 20]
    assert [early.of_account(0), early.of_account(1)] == [slice(0, 1), slice(1, 2)]
    assert early.item_ids is actions.item_ids
    nobody = actions.before(0)
    assert len(nobody) == 0
    assert nobody.of_account(1) == slice(0, 0)


def test_a_low_rating_is_interest_and_a_rejection_is_not(actions: ActionTable) -> None:
    kinds = actions.kinds
    interest = dict(zip(kinds.names, kinds.interest.tolist(), strict=True))
    weight = dict(zip(kinds.names, kinds.weight.tolist(), strict=True))
    assert interest["purchase"] > interest["view"] > interest["rating_low"] > 0
    assert interest["not_interested"] == interest["dislike"] == interest["return_product"] == 0
    assert weight["rating_low"] < 0
    assert weight["not_interested"] < 0
