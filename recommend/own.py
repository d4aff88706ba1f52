"""Features of the account and its present visit, and of what it did with a candidate itself."""

from collections.abc import Sequence

import numpy as np

from recommend import lookup
from recommend.arrays import DAY_US, HOUR_US, NONE, Codes, Flags, Floats, Moments, floats
from recommend.compiled import compiled
from recommend.history import History
from recommend.kinds import Kinds
from recommend.parts import Parts

OWN_FEATURES: Sequence[str] = (
    "embedding_dot", "embedding_dot_recent", "own_times", "own_carts", "own_purchases", "own_rejections",
    "own_days_since", "own_in_visit", "price_by_account", "price_by_last", "preferred_category",
)  # fmt: skip
ACCOUNT_FEATURES: Sequence[str] = (
    "account_actions", "account_items", "account_visit_actions", "account_hours_since", "account_days_known",
    "account_actions_1d", "account_actions_7d", "account_weight", "account_purchases", "account_rejections",
    "account_categories", "account_price", "hour", "weekday",
)  # fmt: skip
_NEVER_DAYS = 3_650.0
_LEAST_PRICE = 0.01
_RECENT_ITEMS = 10


def own(
    parts: Parts,
    kinds: Kinds,
    history: History,
    items: Codes,
    factors: Floats,
    now_us: int,
    preferred: Sequence[int],
) -> Floats:
    """OWN_FEATURES by candidate. `factors` are the candidates' embeddings."""
    rows = np.zeros((len(OWN_FEATURES), len(items)), np.float32)
    rows[6] = _NEVER_DAYS
    if len(preferred):
        rows[10] = np.isin(parts.items.category[items], preferred)
    if not len(history):
        return rows
    embeddings, price = parts.embeddings, parts.items.price
    recent = slice(_RECENT_ITEMS)
    tastes = (
        embeddings.fold_in(history.item, history.interest),
        embeddings.fold_in(history.item[recent], history.interest[recent]),
    )
    np.dot(np.stack(tastes), factors.T, out=rows[:2])
    _add_actions(
        lookup.places(history.action_item, items),
        history.action_kind,
        np.maximum(now_us - history.action_us, 0),  # Apps' clocks may be ahead of ours.
        history.action_in_visit,
        kinds.is_cart,
        kinds.is_purchase,
        kinds.weight,
        rows,
    )
    _add_prices(price[history.item], price[items], rows)
    return rows


def account(parts: Parts, kinds: Kinds, history: History, now_us: int) -> Floats:
    """ACCOUNT_FEATURES."""
    hour, weekday = now_us / HOUR_US % 24, now_us // DAY_US % 7
    if not len(history):
        return floats([0] * 3 + [24 * _NEVER_DAYS] + [0] * 8 + [hour, weekday])
    return _account(
        history.action_kind,
        np.maximum(now_us - history.action_us, 0),
        history.action_in_visit,
        kinds.weight,
        kinds.is_purchase,
        parts.items.category[history.item],
        parts.items.price[history.item],
        hour,
        weekday,
    )


@compiled
def _add_actions(
    columns: Codes,
    kind: Codes,
    since_us: Moments,
    in_visit: Floats,
    is_cart: Flags,
    is_purchase: Flags,
    weight: Floats,
    rows: Floats,
) -> None:
    """What each action adds to the column of its candidate; NONE where it is of none. The newest is the first."""
    for one in range(len(columns)):
        column = columns[one]
        if column == NONE:
            continue
        if rows[2, column] == 0:
            rows[6, column] = since_us[one] / DAY_US
        rows[2, column] += 1
        rows[3, column] += is_cart[kind[one]]
        rows[4, column] += is_purchase[kind[one]]
        rows[5, column] += weight[kind[one]] < 0
        rows[7, column] += in_visit[one]


@compiled
def _add_prices(paid: Floats, price: Floats, rows: Floats) -> None:
    """Logarithms of the candidates' prices by the mean of the account's items, and by its newest that has one; 0
    where there are none. Prices that are not told are NaN.
    """
    told, summed, newest = 0, 0.0, 0.0
    for one in paid:
        if not np.isnan(one):
            logarithm = np.log(max(one, np.float32(_LEAST_PRICE)))
            newest = logarithm if told == 0 else newest
            summed += logarithm
            told += 1
    if told == 0:
        return
    for column in range(len(price)):
        if not np.isnan(price[column]):
            logarithm = np.log(max(price[column], np.float32(_LEAST_PRICE)))
            rows[8, column] = logarithm - summed / told
            rows[9, column] = logarithm - newest


@compiled
def _is_among(code: int, codes: Codes) -> bool:
    for one in codes:  # noqa: SIM110  (Numba knows no generators)
        if one == code:
            return True
    return False


@compiled
def _account(
    kind: Codes,
    since_us: Moments,
    in_visit: Floats,
    weight: Floats,
    is_purchase: Flags,
    category: Codes,
    price: Floats,
    hour: float,
    weekday: float,
) -> Floats:
    found, size = np.zeros(len(ACCOUNT_FEATURES), np.float32), len(kind)
    in_day = in_week = purchases = rejections = told = 0
    weights = prices = visited = 0.0
    for one in range(size):
        in_day += since_us[one] < DAY_US
        in_week += since_us[one] < 7 * DAY_US
        visited += in_visit[one]
        weights += weight[kind[one]]
        purchases += is_purchase[kind[one]]
        rejections += weight[kind[one]] < 0
    for one in price:
        if not np.isnan(one):
            told, prices = told + 1, prices + one
    found[0], found[1], found[2] = np.log1p(size), np.log1p(len(category)), visited
    found[3], found[4] = np.log1p(since_us[0] / HOUR_US), since_us[-1] / DAY_US
    found[5], found[6] = np.log1p(in_day), np.log1p(in_week)
    found[7], found[8], found[9] = weights / size, purchases, rejections
    for one in range(len(category)):
        found[10] += not _is_among(category[one], category[:one])
    found[11] = np.log(prices / told) if told > 0 else 0
    found[12], found[13] = hour, weekday
    return found
