"""Actions: which interactions are actions, what metadata they take along, and what they say is not to be shown."""

import json
from itertools import permutations

import pytest

from domain.actions import MOST_COUNTED, Action, Hidden, actions_of, hidden_of, signal_types
from domain.event_types import load_event_weights
from domain.interaction import CATEGORY
from tests.factories import interaction


def test_an_interaction_about_a_product_is_an_action() -> None:
    one = interaction(session_id="s1")
    (action,) = actions_of([interaction(ref_type=CATEGORY), one])
    assert action == Action("alice", "cup", "view", one.occurred_at, one.event_id, "s1")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"recommendation_id": "r1", "position": 0}, ("r1", 0, None, None)),
        ({"price": "12.50", "quantity": 3, "colour": "red"}, (None, None, 12.5, 3)),
        ({"price": 12, "other": [None, {"price": 7}]}, (None, None, 12.0, None)),
        ({"position": 10**30, "quantity": 10**300}, (None, MOST_COUNTED, None, MOST_COUNTED)),
        ({}, (None, None, None, None)),
        ("red", (None, None, None, None)),
        ({"position": "first"}, (None, None, None, None)),
        ({"price": "dear"}, (None, None, None, None)),
        ({"price": "Infinity", "quantity": 1}, (None, None, None, 1)),
    ],
)
def test_an_action_takes_along_what_its_metadata_says(metadata: object, expected: object) -> None:
    (action,) = actions_of([interaction(metadata=json.dumps(metadata))])
    assert (action.recommendation_id, action.position, action.price, action.quantity) == expected


def test_scored_types_and_opinions_are_signals_and_impressions_are_not() -> None:
    scored = load_event_weights()
    assert signal_types(scored) == scored.keys() - {"product_impression"} | {"like"}
    assert {"purchase", "dislike"} <= signal_types(["view", "product_impression"])
    assert "product_impression" not in signal_types(["product_impression"])


def _did(event_type: str, item_id: str, at: int) -> Action:
    return Action("alice", item_id, event_type, at, at.to_bytes(16, "big"))


def test_what_an_account_does_not_want_to_see() -> None:
    types = ["hide_item", "report_product", "dislike", "rating_low", "not_interested", "purchase", "view", "like"]
    actions = [_did(event_type, event_type, at) for at, event_type in enumerate(types)]
    assert hidden_of(actions) == Hidden(
        hidden=frozenset({"hide_item", "report_product"}),
        disliked=frozenset({"dislike", "rating_low"}),
        not_interested=frozenset({"not_interested"}),
        bought=frozenset({"purchase"}),
    )


def test_the_newest_opinion_counts_in_whatever_order_they_came() -> None:
    course = [_did("dislike", "cup", 1), _did("like", "cup", 2), _did("purchase", "cup", 3), _did("view", "cup", 4)]
    for order in permutations(course):
        assert hidden_of(order) == Hidden(bought=frozenset({"cup"}))
    for order in permutations([*course, _did("not_interested", "cup", 5)]):
        assert hidden_of(order) == Hidden(not_interested=frozenset({"cup"}), bought=frozenset({"cup"}))
