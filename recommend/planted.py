"""A made-up shop whose laws are known, and the oracle that knows them.

Every account has a few tastes, of many; every taste has its items, which are Zipf popular in it, and spreads over a
few categories, so that the catalog tells something of it and not all. A visit keeps to one taste for the most part.
An item has a companion that is often looked at next. Some items are born while the shop runs, and some are hot for a
week. A part of all looks is at what is popular anywhere. Repeats happen; what follows a look (cart, purchase,
rejection) is about the same item.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recommend.arrays import DAY_US, HOUR_US, SECOND_US, Codes, Moments

_START_US = 1_700_000_000 * SECOND_US
_NOISE = 0.10
_COMPANION = 0.15
_STAY = 0.85
_HOT = 4.0
_HOT_SHARE = 0.02
_ON = 0.8
_BORN_LATER = 0.15
_WORDS_OF_TASTE = 12
_FOLLOW_UPS = (("add_to_cart", 0.12), ("purchase", 0.05), ("view_bounce", 0.06), ("not_interested", 0.01))

_Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PlantedShop:
    """Rows of `looks` and `account` are in the order of accounts, then time."""

    actions: pa.Table
    items: pa.Table
    laws: "Laws"


@dataclass(frozen=True, slots=True, eq=False)
class Laws:
    """What the generator draws from."""

    noise: ClassVar[float] = _NOISE
    """The share of looks that are at what is popular anywhere."""
    stay: ClassVar[float] = _STAY
    """Of the other looks of a visit but its first the share that stays with the taste of the one before."""

    taste_of_item: Codes
    popularity: _Doubles
    """Of each item within its taste; sums to 1 in each."""
    companion: Codes
    born_us: Moments
    hot: NDArray[np.bool_]
    """Week by item."""
    tastes: Codes
    """Account by its few tastes."""
    shares: _Doubles
    """Account by its few tastes; sums to 1 in each row."""
    start_us: int

    def weights_at(self, moment_us: int) -> _Doubles:
        """Of each item its unscaled chance within its taste: hot ones more, unborn ones none."""
        week = min(int((moment_us - self.start_us) // (7 * DAY_US)), len(self.hot) - 1)
        boost = np.where(self.hot[week], _HOT, 1.0)
        weights: _Doubles = self.popularity * boost * (self.born_us <= moment_us)
        return weights

    def next_item(
        self, account: int, last_item: int | None, moment_us: int, *, knows_companions: bool = True
    ) -> _Doubles:
        """The oracle: of each item the chance that the account looks at it next; `last_item` None in a new visit.

        One that does not know companions knows the tastes of accounts and items, and how popular items are in them.
        """
        weights = self.weights_at(moment_us)
        mass = np.bincount(self.taste_of_item, weights)
        by_taste = np.zeros(len(mass))
        by_taste[self.tastes[account]] = self.shares[account]
        if last_item is not None:
            staying = np.zeros(len(mass))
            staying[self.taste_of_item[last_item]] = 1.0
            by_taste = _STAY * staying + (1 - _STAY) * by_taste
        of_tastes = by_taste[self.taste_of_item] * weights / mass[self.taste_of_item]
        chances: _Doubles = _NOISE * weights / weights.sum() + (1 - _NOISE) * of_tastes
        if knows_companions and last_item is not None and self.born_us[self.companion[last_item]] <= moment_us:
            chances *= 1 - _COMPANION
            chances[self.companion[last_item]] += _COMPANION
        return chances


def plant(
    *,
    accounts: int = 10_000,
    items: int = 10_000,
    events: int = 500_000,
    weeks: int = 8,
    taste_size: int = 100,
    seed: int = 1,
) -> PlantedShop:
    """A shop of so many, with so many items to a taste; `events` is met exactly."""
    random = np.random.default_rng(seed)
    laws = _laws(random, accounts, items, items // taste_size, weeks)
    return PlantedShop(_actions(random, laws, events, weeks), _catalog(random, laws), laws)


def _laws(random: np.random.Generator, accounts: int, items: int, tastes: int, weeks: int) -> Laws:
    taste_of_item = random.permutation(np.arange(items) % tastes).astype(np.int32)
    popularity = np.zeros(items)
    for taste in range(tastes):
        members = np.flatnonzero(taste_of_item == taste)
        zipf = 1 / np.arange(1, len(members) + 1)
        popularity[random.permutation(members)] = zipf / zipf.sum()
    companion = np.empty(items, np.int32)
    for taste in range(tastes):
        members = random.permutation(np.flatnonzero(taste_of_item == taste))
        companion[members] = np.roll(members, 1)
    later = random.random(items) < _BORN_LATER
    born_us = _START_US + (later * random.random(items) * weeks * 7 * DAY_US * 0.9).astype(np.int64)
    few = 3
    return Laws(
        taste_of_item,
        popularity,
        companion,
        born_us,
        random.random((weeks, items)) < _HOT_SHARE,
        np.stack([random.choice(tastes, few, replace=False) for _ in range(accounts)]).astype(np.int32),
        random.dirichlet(np.array([2.0, 1.0, 0.5]), accounts),
        _START_US,
    )


def _actions(random: np.random.Generator, laws: Laws, events: int, weeks: int) -> pa.Table:
    draws = _Draws(random, laws, weeks)
    rows = [
        (account, *row)
        for account, quota in enumerate(_quotas(random, len(laws.tastes), events))
        for row in _life(draws, account, int(quota), weeks)
    ]
    account, item, event_type, at_us, visit = zip(*rows, strict=True)
    return pa.table(
        {
            "account_id": _ids("account", account),
            "item_id": _ids("item", item),
            "event_type": pa.array(event_type).dictionary_encode(),
            "occurred_at": pa.array(at_us, pa.int64()),
            "session_id": _ids("visit", [f"{one}-{number}" for one, number in zip(account, visit, strict=True)]),
        }
    )


def _quotas(random: np.random.Generator, accounts: int, events: int) -> NDArray[np.int64]:
    """How many actions each account does: log-normal, at least a few, all of them `events`."""
    least = min(6, events // accounts)
    share = random.lognormal(0, 0.8, accounts)
    ends = np.floor(np.cumsum(share) / share.sum() * (events - least * accounts) + 0.5).astype(np.int64)
    quotas: NDArray[np.int64] = np.diff(ends, prepend=0) + least
    return quotas


class _Draws:
    """Uniform numbers in blocks, and items by taste and week: a draw each would take minutes."""

    def __init__(self, random: np.random.Generator, laws: Laws, weeks: int) -> None:
        self._random = random
        self._numbers: Iterator[float] = iter(())
        self.laws = laws
        self._members = [np.flatnonzero(laws.taste_of_item == taste) for taste in range(laws.taste_of_item.max() + 1)]
        boosted = laws.popularity * np.where(laws.hot, _HOT, 1.0)
        self._sums = [[np.cumsum(weights[members]) for members in self._members] for weights in boosted]
        self._all = [np.cumsum(weights) for weights in boosted]
        self.weeks = weeks

    def uniform(self) -> float:
        for number in self._numbers:
            return number
        self._numbers = iter(self._random.random(65_536).tolist())
        return next(self._numbers)

    def taste(self, account: int) -> int:
        place = np.searchsorted(np.cumsum(self.laws.shares[account]), self.uniform())
        return int(self.laws.tastes[account][min(place, self.laws.tastes.shape[1] - 1)])

    def item(self, moment_us: int, taste: int | None) -> int:
        """One of the taste's, or, for None, of all, by their weights of the moment."""
        week = min(int((moment_us - self.laws.start_us) // (7 * DAY_US)), self.weeks - 1)
        sums = self._all[week] if taste is None else self._sums[week][taste]
        while True:
            place = int(np.searchsorted(sums, self.uniform() * sums[-1]))
            item = place if taste is None else int(self._members[taste][place])
            if self.laws.born_us[item] <= moment_us:
                return item


_Row = tuple[int, str, int, int]


def _life(draws: _Draws, account: int, quota: int, weeks: int) -> list[_Row]:
    rows: list[_Row] = []
    visit = 0
    looks = max(1, quota // 6)
    starts = sorted(draws.uniform() * weeks * 7 * DAY_US for _ in range(looks))
    while len(rows) < quota:
        moment_us = draws.laws.start_us + int(starts[min(visit, looks - 1)])
        if rows:
            moment_us = max(moment_us, rows[-1][2] + HOUR_US)
        rows += _visit(draws, account, moment_us, visit)
        visit += 1
    return rows[:quota]


def _visit(draws: _Draws, account: int, moment_us: int, visit: int) -> Iterator[_Row]:
    last: int | None = None
    while last is None or draws.uniform() < _ON:
        last = _look(draws, account, last, moment_us)
        yield last, "view", moment_us, visit
        for event_type, chance in _FOLLOW_UPS:
            if draws.uniform() < chance:
                moment_us += 5 * SECOND_US
                yield last, event_type, moment_us, visit
        moment_us += int((10 + 100 * draws.uniform()) * SECOND_US)


def _look(draws: _Draws, account: int, last: int | None, moment_us: int) -> int:
    laws = draws.laws
    if last is not None and draws.uniform() < _COMPANION and laws.born_us[laws.companion[last]] <= moment_us:
        return int(laws.companion[last])
    if draws.uniform() < _NOISE:
        return draws.item(moment_us, None)
    if last is not None and draws.uniform() < _STAY:
        return draws.item(moment_us, int(laws.taste_of_item[last]))
    return draws.item(moment_us, draws.taste(account))


def _catalog(random: np.random.Generator, laws: Laws) -> pa.Table:
    """Categories hold items of several tastes; a title has words of the taste and others."""
    tastes = int(laws.taste_of_item.max()) + 1
    categories = max(tastes // 5, 2)
    homes = random.integers(categories, size=(tastes, 2))
    category = homes[laws.taste_of_item, random.integers(2, size=len(laws.taste_of_item))]
    prices = np.round(random.lognormal(3, 0.7, len(category)) * (1 + category % 4), 2)
    titles = [_title(random, int(taste)) for taste in laws.taste_of_item]
    return pa.table(
        {
            "item_id": _ids("item", range(len(category))),
            "title": pa.array(titles),
            "category": _ids("category", category),
            "price": pa.array(prices),
            "created_at_us": pa.array(laws.born_us),
        }
    )


def _title(random: np.random.Generator, taste: int) -> str:
    own = random.integers(_WORDS_OF_TASTE, size=2) + taste * _WORDS_OF_TASTE
    common = random.integers(500, size=3)
    return " ".join([*(f"word{one}" for one in own), *(f"common{one}" for one in common)])


def _ids(noun: str, numbers: Iterable[Any]) -> pa.Array:
    return pa.array([f"{noun}-{number}" for number in numbers], pa.string()).dictionary_encode()
