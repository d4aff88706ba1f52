"""What is known of items by counting, as of one moment: features of items, and what is popular and trending."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recommend.actions import ActionTable
from recommend.arrays import DAY_US, Codes, Flags, Floats, Moments, Places, floats
from recommend.catalog import ItemTable

_EVER_DAYS = 100_000
_OF_LATE_DAYS = 3.0
"""Half-life of what is called of late …"""
_OF_LATE_PRIOR_DAYS = 5.0
"""… which weighs against the long run as so many days of it do."""
_LONG_RUN_DAYS = 60.0
_LEAST_COUNT = 0.1
_NEVER_DAYS = 3_650.0

ITEM_FEATURES: Sequence[str] = (
    "item_interest_1d", "item_interest_7d", "item_interest_28d", "item_interest_all", "item_interest_decayed",
    "item_views_7d", "item_views_all", "item_carts_28d", "item_carts_all", "item_purchases_28d",
    "item_purchases_all", "item_rejections_28d", "item_rejections_all", "item_accounts",
    "item_cart_rate", "item_purchase_rate", "item_rejection_rate", "item_trend_1d", "item_trend_7d",
    "item_age_days", "item_first_seen_days", "item_last_seen_days", "item_price", "item_price_in_category",
    "item_rank", "item_rank_in_category", "item_rank_trending", "item_share_of_category", "category_interest_28d",
    "category_size", "item_text_length", "item_share_of_group",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Counts of the actions before `moment_us`."""

    moment_us: int
    features: Floats
    """Item by ITEM_FEATURES."""
    popular: Codes
    """Items by decayed interest, best first; those without any are missing."""
    trending: Codes
    """Items whose week stands out from their weeks before, best first."""
    by_group: Codes
    """All items, group by group, in each by their share of it, best first."""
    group_starts: Places
    """Where each group begins in `by_group`, and, one longer, where the last one ends."""

    best_share: Floats = field(init=False)
    """Of each group its best item's share; 0 in a group without items."""

    def __post_init__(self) -> None:
        starts = self.group_starts
        best = self.by_group[np.minimum(starts[:-1], len(self.by_group) - 1)]
        shares = np.where(starts[:-1] < starts[1:], self.share_of_group(best), np.float32(0))
        object.__setattr__(self, "best_share", shares)

    def share_of_group(self, items: Codes) -> Floats:
        """The chance of each item when its group is turned to."""
        share: Floats = self.features[items, ITEM_FEATURES.index("item_share_of_group")]
        return share

    def popular_score(self, items: Codes) -> Floats:
        score: Floats = self.features[items, ITEM_FEATURES.index("item_interest_decayed")]
        return score


def snapshot(actions: ActionTable, items: ItemTable, group: Codes, moment_us: int) -> Snapshot:
    """`actions` may hold later ones too; they are not looked at. `group` is of each item."""
    known = actions.before(moment_us)
    age_days = (moment_us - known.at_us) / DAY_US
    size, kinds = len(items), known.kinds
    interest = kinds.interest[known.kind]
    rejected = (kinds.weight[known.kind] < 0).astype(np.float32)

    def summed(values: Floats, days: float = _EVER_DAYS) -> Floats:
        return np.bincount(known.item, values * (age_days < days), size).astype(np.float32)

    view, cart, bought = (
        flags[known.kind].astype(np.float32) for flags in (kinds.is_view, kinds.is_cart, kinds.is_purchase)
    )
    interests = [summed(interest, days) for days in (1, 7, 28, _EVER_DAYS)]
    decayed = summed((interest * 0.5 ** (age_days / 14)).astype(np.float32))
    views, carts, purchases, rejections = (summed(one) for one in (view, cart, bought, rejected))
    before = summed(interest, 28) - interests[1]
    trending = floats(interests[1] / np.sqrt(1 + before / 3))
    rank, category_rank, share, category_interest, category_size = _standing(decayed, interests[2], items.category)
    first, last = _first_and_last(known, size, moment_us)
    ages = _ages(items.created_us, first, moment_us)
    group_share, by_group, group_starts = _grouped(_rates(known, floats(age_days), ages), group)
    columns = [
        *(np.log1p(one) for one in (*interests, decayed, summed(view, 7), views, summed(cart, 28), carts)),
        *(np.log1p(one) for one in (summed(bought, 28), purchases, summed(rejected, 28), rejections)),
        np.log1p(_accounts(known, size)),
        (carts + 0.5) / (views + 10), (purchases + 0.2) / (views + 10), (rejections + 0.2) / (views + 10),
        *trends(interests[0], interests[1], before),
        ages, first, last,
        np.log1p(np.nan_to_num(items.price, nan=0)), _price_in_category(items), rank, category_rank,
        _ranks(trending), share, category_interest, category_size,
        np.log1p([len(text) for text in items.text]), group_share,
    ]  # fmt: skip
    return Snapshot(
        moment_us,
        np.stack(columns, axis=1).astype(np.float32),
        _best_first(decayed),
        _best_first(trending),
        by_group,
        group_starts,
    )


def _rates(known: ActionTable, age_days: Floats, item_age_days: Floats) -> Floats:
    """Of each item how often a day it is turned to: of late, with its long run for a prior."""
    turned = known.kinds.interest[known.kind] > 0
    turned[1:] &= (known.item[1:] != known.item[:-1]) | (known.account[1:] != known.account[:-1])

    def decayed(half_life_days: float) -> tuple[Floats, Floats]:
        """Counts, and the days that they are of."""
        counts = np.bincount(known.item, turned * 0.5 ** (age_days / half_life_days), len(item_age_days))
        days = (1 - 0.5 ** (item_age_days / half_life_days)) * half_life_days / np.log(2)
        return floats(counts), floats(days)

    (late, late_days), (long, long_days) = decayed(_OF_LATE_DAYS), decayed(_LONG_RUN_DAYS)
    in_the_long_run = (long + _LEAST_COUNT) / (long_days + 1)
    return floats((late + _OF_LATE_PRIOR_DAYS * in_the_long_run) / (late_days + _OF_LATE_PRIOR_DAYS))


def _grouped(rates: Floats, group: Codes) -> tuple[Floats, Codes, Places]:
    """Each item's share of its group, all items by group and share, and where groups start."""
    totals = np.bincount(group, rates)
    share = floats(rates / totals[group])
    order = np.lexsort((-share, group))
    return share, order.astype(np.int32), np.searchsorted(group[order], np.arange(len(totals) + 1))


def trends(in_1d: Floats, in_7d: Floats, in_21d_before: Floats) -> tuple[Floats, Floats]:
    """Interest of the last day by the week's daily mean, and of the week by that of the three before; logarithms."""
    return floats(np.log((in_1d + 0.3) / (in_7d / 7 + 0.3))), floats(np.log((in_7d + 1) / (in_21d_before / 3 + 1)))


def _best_first(score: Floats) -> Codes:
    order = np.argsort(-score, kind="stable")
    return order[score[order] > 0].astype(np.int32)


def _ranks(score: Floats) -> Floats:
    """1 for the best, towards 0 for the last; equal ones by their place."""
    ranks = np.empty(len(score), np.float32)
    ranks[np.argsort(-score, kind="stable")] = 1 - np.arange(len(score)) / max(len(score), 1)
    return ranks


def _standing(decayed: Floats, month: Floats, category: Codes) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    group = category + 1
    order = np.lexsort((-decayed, group))
    starts = np.searchsorted(group[order], np.arange(group.max(initial=0) + 2))
    sizes = np.diff(starts)
    in_category = np.empty(len(decayed), np.float32)
    in_category[order] = 1 - (np.arange(len(decayed)) - starts[group[order]]) / np.maximum(sizes[group[order]], 1)
    totals = np.bincount(group, decayed, len(sizes)).astype(np.float32)
    months = np.bincount(group, month, len(sizes)).astype(np.float32)
    share = decayed / np.maximum(totals[group], 1e-6)
    return (
        _ranks(decayed),
        in_category,
        floats(share),
        floats(np.log1p(months[group])),
        floats(np.log1p(sizes[group])),
    )


def _accounts(known: ActionTable, size: int) -> Floats:
    """How many accounts acted on each item."""
    pairs = np.unique(known.account.astype(np.int64) * size + known.item)
    return np.bincount(pairs % size, minlength=size).astype(np.float32)


def _first_and_last(known: ActionTable, size: int, moment_us: int) -> tuple[Floats, Floats]:
    """Days since an item's first and last action."""
    first, last = np.full(size, moment_us, np.int64), np.full(size, moment_us, np.int64)
    order = np.argsort(known.at_us, kind="stable")
    last[known.item[order]] = known.at_us[order]
    first[known.item[order[::-1]]] = known.at_us[order[::-1]]
    seen = np.bincount(known.item, minlength=size) > 0
    days = [np.where(seen, (moment_us - one) / DAY_US, _NEVER_DAYS).astype(np.float32) for one in (first, last)]
    return days[0], days[1]


def _ages(created_us: Moments, first_seen_days: Floats, moment_us: int) -> Floats:
    told: Flags = created_us > 0
    return np.where(told, (moment_us - created_us) / DAY_US, first_seen_days).clip(0, _NEVER_DAYS).astype(np.float32)


def _price_in_category(items: ItemTable) -> Floats:
    """Natural logarithm of the price by its category's geometric mean; 0 without a price."""
    price = np.log(np.maximum(np.nan_to_num(items.price, nan=1.0), 0.01))
    told = np.isfinite(items.price)
    group = items.category + 1
    sums = np.bincount(group, price * told)
    counts = np.bincount(group, told)
    relative: Floats = np.where(told, price - sums[group] / np.maximum(counts[group], 1), 0).astype(np.float32)
    return relative
