"""What follows an item: what was planted is found, in chances that are chances."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recommend.arrays import DAY_US, floats
from recommend.moves import fit_moves, moves_between
from tests.recommend.conftest import Shop
from tests.recommend.test_neighbours import actions_of


def test_shares_of_groups_are_shares(shop: Shop) -> None:
    moves, snapshot = shop.model.parts.moves, shop.model.parts.snapshot
    assert_allclose(moves.onward.sum(axis=1), 1, rtol=1e-4)
    assert moves.arriving.sum() == pytest.approx(1, rel=1e-4)
    items = np.arange(len(shop.items), dtype=np.int32)
    share = snapshot.share_of_group(items)
    assert_allclose(np.bincount(moves.group, share), 1, rtol=1e-4)
    assert sorted(snapshot.by_group.tolist()) == items.tolist()
    for group in range(len(moves.arriving)):
        own = snapshot.by_group[snapshot.group_starts[group] : snapshot.group_starts[group + 1]]
        assert (moves.group[own] == group).all()
        assert (np.diff(share[own]) <= 0).all()
        assert snapshot.best_share[group] == (share[own[0]] if len(own) else 0)


def test_groups_are_of_one_taste_for_the_most_part(shop: Shop) -> None:
    number = np.array([int(one.removeprefix("item-")) for one in shop.actions.item_ids])
    taste, group = shop.planted.laws.taste_of_item[number], shop.model.parts.moves.group
    together = np.zeros((group.max() + 1, taste.max() + 1))
    np.add.at(together, (group, taste), np.bincount(shop.split.known.item, minlength=len(number)))
    assert together.max(axis=1).sum() > 0.85 * together.sum()


def test_the_planted_companion_stands_out_from_its_group(shop: Shop) -> None:
    """What follows popular items more often than their groups let expect is their companions, for the most part."""
    laws, moves = shop.planted.laws, shop.model.parts.moves
    number = np.array([int(one.removeprefix("item-")) for one in shop.actions.item_ids])
    known = shop.split.known.item
    popular = np.argsort(-np.bincount(known, minlength=len(number)))[:60]
    later = laws.born_us[laws.companion[number[popular]]] > laws.start_us + 14 * DAY_US
    asked = popular[~later]
    found = number[moves.next.item[asked, 0]] == laws.companion[number[asked]]
    assert found.mean() > 0.8


def test_what_groups_tell_and_what_is_beyond_them_add_up(shop: Shop) -> None:
    moves = shop.model.parts.moves
    items = np.arange(len(shop.items), dtype=np.int32)
    sums = [moves.left[item] + moves.beyond_groups(item, items).sum() for item in range(0, len(items), 9)]
    assert_allclose(sums, 1, atol=0.05)


def test_only_moves_of_one_visit_count() -> None:
    """The accounts' actions are a minute apart, and then a day, which is another visit."""
    actions = actions_of({str(one): "abcdefgh"[one % 8] + "bcdefgha"[one % 8] for one in range(160)})
    apart = replace(actions, at_us=actions.at_us + np.tile([0, DAY_US], 160))
    near, far = (moves_between(one, np.zeros(8, np.int32)) for one in (actions, apart))
    assert near.next.item[0, 0] == 1
    assert near.next.score[0, 0] > 0.5
    assert (far.next.score == 0).all()


def test_the_same_actions_are_grouped_the_same(shop: Shop) -> None:
    vectors = floats(np.random.default_rng(0).normal(size=(len(shop.items), 8)))
    first, second = (fit_moves(shop.split.known, vectors, threads=1) for _ in range(2))
    assert (first.group == second.group).all()
    assert_allclose(first.next.score, second.next.score)
