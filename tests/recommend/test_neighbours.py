"""Item-to-item lists against sums done by hand."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from domain.event_types import load_event_weights
from recommend.actions import ActionTable, read_actions
from recommend.arrays import NONE
from recommend.linear import pairs
from recommend.neighbours import Lists, cosine_lists, count_moves, fit_then, fit_together


def actions_of(sequences: dict[str, str]) -> ActionTable:
    """Views a minute apart; items are letters."""
    rows = [(account, item, minute) for account, items in sequences.items() for minute, item in enumerate(items)]
    return read_actions(
        pa.table(
            {
                "account_id": [account for account, _, _ in rows],
                "item_id": [item for _, item, _ in rows],
                "event_type": ["view"] * len(rows),
                "occurred_at": [minute * 60_000_000 for _, _, minute in rows],
            }
        ),
        load_event_weights(),
        sorted({item for _, item, _ in rows}),
    )


def listed(lists: Lists, actions: ActionTable, item: str) -> dict[str, float]:
    code = list(actions.item_ids).index(item)
    return {
        actions.item_ids[other]: float(score)
        for other, score in zip(lists.item[code], lists.score[code], strict=True)
        if other != NONE
    }


def test_cosine_of_who_had_both() -> None:
    actions = actions_of({"1": "abc", "2": "ab", "3": "ad"})
    near = listed(cosine_lists(pairs(actions), 10, 0), actions, "a")
    assert near == pytest.approx({"b": 2 / np.sqrt(3 * 2), "c": 1 / np.sqrt(3), "d": 1 / np.sqrt(3)}, rel=1e-5)
    shrunk = listed(cosine_lists(pairs(actions), 10, 1), actions, "a")
    assert shrunk["b"] == pytest.approx(2 / (np.sqrt(6) + 1), rel=1e-5)


def test_lists_are_cut_to_the_best_and_best_first() -> None:
    actions = actions_of({"1": "abc", "2": "ab", "3": "adb"})
    assert list(listed(cosine_lists(pairs(actions), 1, 0), actions, "a")) == ["b"]


def test_what_goes_together_counts_less_from_those_who_have_much() -> None:
    actions = actions_of({"1": "ab", "2": "acdefghij"})
    near = listed(fit_together(actions, 10, 1e9), actions, "a")
    assert near["b"] > near["c"] > 0


def test_what_goes_together_counts_less_when_it_is_long_ago() -> None:
    table = actions_of({"1": "ab", "2": "cd", "3": "ad", "4": "cb"})
    old = table.account == 0
    table.at_us[old] -= 1_000 * 86_400_000_000
    near = fit_together(table, 10, 30)
    assert listed(near, table, "b")["a"] < listed(near, table, "b")["c"]


def test_then_knows_the_order() -> None:
    actions = actions_of({"1": "ab", "2": "ab", "3": "ba"})
    lists = fit_then(count_moves(actions), 10, 0)
    assert listed(lists, actions, "a")["b"] > 1.5 * listed(lists, actions, "b")["a"] > 0


def test_then_counts_later_steps_less_and_not_across_accounts() -> None:
    actions = actions_of({"1": "abc", "2": "d"})
    near = listed(fit_then(count_moves(actions), 10, 0), actions, "a")
    assert near["b"] > near["c"] > 0
    assert "d" not in listed(fit_then(count_moves(actions), 10, 0), actions, "c")


def test_then_skips_what_is_repeated() -> None:
    once, often = actions_of({"1": "ab"}), actions_of({"1": "aaab"})
    assert (
        listed(fit_then(count_moves(often), 10, 0), often, "a").keys()
        == listed(fit_then(count_moves(once), 10, 0), once, "a").keys()
    )


def test_a_block_is_the_lists_looked_up() -> None:
    random = np.random.default_rng(1)
    sequences = {str(one): "".join(random.choice(list("abcdefghijkl"), 6)) for one in range(40)}
    actions = actions_of(sequences)
    lists = cosine_lists(pairs(actions), 4, 0)
    anchors, candidates = np.array([3, 0, 7], np.int32), np.array([9, 2, 5, 11, 0], np.int32)
    block = lists.block(anchors, candidates)
    for row, anchor in enumerate(anchors):
        near = dict(zip(lists.item[anchor].tolist(), lists.score[anchor].tolist(), strict=True))
        assert_allclose(block[row], [near.get(int(one), 0) for one in candidates])
    assert block.any()


def test_the_best_of_several_lists_are_those_with_the_highest_sums() -> None:
    lists = Lists(np.array([[1, 2], [2, 3], [NONE, NONE], [0, NONE]], np.int32),
                  np.array([[0.9, 0.5], [0.6, 0.1], [0, 0], [0.2, 0]], np.float32))  # fmt: skip
    items, sums = lists.best(np.array([0, 1, 2], np.int32), np.array([1, 1, 1], np.float32), 2)
    assert items.tolist() == [2, 1]
    assert_allclose(sums, [1.1, 0.9])
