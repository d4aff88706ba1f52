"""The planted shop obeys its laws, and its oracle knows them."""

import numpy as np
import pytest

from recommend.planted import plant
from tests.recommend.conftest import Shop


def test_the_same_seed_plants_the_same_shop_of_exactly_so_many_events() -> None:
    first, second, other = (plant(accounts=40, items=100, events=900, taste_size=20, seed=seed) for seed in (1, 1, 2))
    assert first.actions.equals(second.actions)
    assert not first.actions.equals(other.actions)
    assert first.actions.num_rows == 900
    assert len(first.actions["account_id"].unique()) == 40


def test_chances_are_chances(shop: Shop) -> None:
    laws = shop.planted.laws
    for account, last in ((0, None), (1, 5), (2, 17)):
        chances = laws.next_item(account, last, laws.start_us + 20 * 86_400_000_000)
        assert chances.sum() == pytest.approx(1)
        assert chances.min() >= 0


def test_nothing_is_looked_at_before_it_is_born(shop: Shop) -> None:
    created = shop.items.created_us
    assert (shop.actions.at_us >= created[shop.actions.item]).all()
    assert (created > created.min()).any()


def test_what_happens_is_as_likely_as_the_oracle_says(shop: Shop) -> None:
    """The share of looks that are at the item which the oracle holds likeliest is the chance that it gives it."""
    laws, actions = shop.planted.laws, shop.actions
    number = [int(one.removeprefix("item-")) for one in actions.item_ids]
    account = [int(one.removeprefix("account-")) for one in actions.account_ids]
    told, happened = [], []
    views = np.flatnonzero(actions.kind == actions.kinds.codes["view"])
    for place in views[views > 0][::7].tolist():
        same_visit = actions.session[place - 1] == actions.session[place]
        last = number[actions.item[place - 1]] if same_visit else None
        chances = laws.next_item(account[actions.account[place]], last, int(actions.at_us[place]))
        told.append(chances.max())
        happened.append(chances.argmax() == number[actions.item[place]])
    assert len(told) > 1_000
    assert np.mean(happened) == pytest.approx(np.mean(told), rel=0.1)
