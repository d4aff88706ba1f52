"""Product popularity in PostgreSQL: one row a product, and one a product and UTC day."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import NamedTuple

import asyncpg

from domain.event_types import COUNTERS, EventWeight
from domain.interaction import PRODUCT, Interaction
from domain.week import date_of, day_of
from store.postgres import Connection, Pool, driver_ids, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "popularity.sql")


@dataclass(slots=True)
class PopularityDelta:
    """What some interactions add to one product; `score` in millionths."""

    score: int = 0
    view: int = 0
    purchase: int = 0
    favorite: int = 0
    cart: int = 0
    review: int = 0

    def add(self, other: "PopularityDelta") -> None:
        self.score += other.score
        self.view += other.view
        self.purchase += other.purchase
        self.favorite += other.favorite
        self.cart += other.cart
        self.review += other.review

    def negated(self) -> "PopularityDelta":
        return PopularityDelta(-self.score, -self.view, -self.purchase, -self.favorite, -self.cart, -self.review)

    @classmethod
    def of(cls, weight: EventWeight, events: int) -> "PopularityDelta":
        """What so many interactions of one type add."""
        delta = cls(weight.score_delta * events)
        if weight.counter is not None:
            setattr(delta, weight.counter, events)
        return delta


ProductDay = tuple[date, str]


@dataclass(frozen=True, slots=True)
class Popularity:
    product_id: str
    score: int
    """In millionths."""
    view_count: int
    purchase_count: int
    favorite_count: int
    cart_count: int
    review_count: int
    date_updated: datetime


@dataclass(frozen=True, slots=True)
class AfterProduct:
    """The place in a ranking to go on from: behind this product."""

    score: int
    product_id: str


class Wanted(NamedTuple):
    """Which products a ranking is of."""

    exclude: tuple[str, ...] = ()
    category: str | None = None
    in_stock: bool = False


ANY_PRODUCT = Wanted()


def count_popularity(
    interactions: Iterable[Interaction], weights: Mapping[str, EventWeight]
) -> dict[ProductDay, PopularityDelta]:
    """What interactions add, by UTC day and product. Only scored types that are about a product count."""
    deltas: dict[tuple[int, str], PopularityDelta] = {}
    for one in interactions:
        weight = weights.get(one.event_type)
        if weight is None or one.ref_type != PRODUCT:
            continue
        key = (day_of(one.occurred_at), one.ref_id)
        delta = deltas.get(key)
        if delta is None:
            delta = deltas[key] = PopularityDelta()
        delta.score += weight.score_delta
        if weight.counter is not None:
            setattr(delta, weight.counter, getattr(delta, weight.counter) + 1)
    return {(date_of(day), product_id): delta for (day, product_id), delta in deltas.items()}


class PopularityStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, connection: Connection, deltas: Mapping[ProductDay, PopularityDelta]) -> None:
        """Adds deltas inside the caller's transaction, in the one order that every caller keeps to."""
        totals = by_product(deltas)
        products, days = sorted(totals), sorted(deltas)
        await connection.execute(_QUERIES["add_total"], products, *columns(totals[one] for one in products))
        await connection.execute(
            _QUERIES["add_daily"],
            [day for day, _ in days],
            [product_id for _, product_id in days],
            *columns(deltas[one] for one in days),
        )

    async def top(
        self, limit: int, after: AfterProduct | None = None, wanted: Wanted = ANY_PRODUCT
    ) -> list[Popularity]:
        """Products by score, highest first, equal scores by id; what the catalog has as inactive is not shown."""
        place = (None, None) if after is None else (after.score, after.product_id)
        with translated_errors():
            if wanted != ANY_PRODUCT:
                rows = await self._pool.fetch(_QUERIES["top_wanted"], limit, *place, *wanted)
            elif after is None:
                rows = await self._pool.fetch(_QUERIES["top"], limit)
            else:
                rows = await self._pool.fetch(_QUERIES["top_after"], limit, *place)
        return [_popularity(row) for row in rows]

    async def top_since(
        self, first_day: date, limit: int, after: AfterProduct | None = None, wanted: Wanted = ANY_PRODUCT
    ) -> list[Popularity]:
        """As `top`, of what occurred on `first_day` or later."""
        place = (None, None) if after is None else (after.score, after.product_id)
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["top_since"], limit, first_day, *place, *wanted)
        return [_popularity(row) for row in rows]

    async def of_product(self, product_id: str) -> Popularity | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["of_product"], product_id)
        return None if row is None else _popularity(row)

    async def is_noting(self, connection: Connection) -> bool:
        """Whether a rebuild wants to know which events are applied: asked first in every transaction that adds.

        To the end of that transaction no rebuild begins.
        """
        return bool(await connection.fetchval(_QUERIES["is_noting"]))

    async def note_applied(self, connection: Connection, event_ids: Iterable[bytes]) -> None:
        """Keeps a rebuild from counting what the same transaction adds."""
        await connection.execute(_QUERIES["note_applied"], driver_ids(event_ids))

    async def forget_days(self, before: date) -> None:
        """Drops the daily rows of days that no window reaches any more; totals stay, and what they had is kept."""
        with translated_errors():
            await self._pool.execute(_QUERIES["forget_days"], before)


_in_order = attrgetter("score", *COUNTERS)


def by_product(deltas: Mapping[ProductDay, PopularityDelta]) -> dict[str, PopularityDelta]:
    """The sums over all days."""
    totals: dict[str, PopularityDelta] = {}
    for (_, product_id), delta in deltas.items():
        totals.setdefault(product_id, PopularityDelta()).add(delta)
    return totals


def columns(deltas: Iterable[PopularityDelta]) -> list[list[int]]:
    """A list of scores, and one of each counter, as the statements take them."""
    rows = [_in_order(delta) for delta in deltas]
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in ("score", *COUNTERS)]


def _popularity(row: asyncpg.Record) -> Popularity:
    return Popularity(*row.values())
