"""A made-up shop with planted tastes and a trend: pure, seeded, without a clock of its own.

Each account has one or two categories that it mostly acts in; within a category products are Zipf popular. Every
minute or so another product becomes hot, and for a while many sessions go there first. What a reader of the events
should find out is known here: `tastes`, `products`, `hot`.
"""

from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from domain.interaction import CATEGORY, PRODUCT

CATEGORIES = (
    "coffee", "tea", "sneakers", "jackets", "novels", "cookbooks",
    "lamps", "chairs", "headphones", "keyboards", "bicycles", "tents",
)  # fmt: skip

_QUALITIES = ("plain", "fine", "light", "sturdy", "small", "large", "dark", "bright", "classic", "rare")

_SECOND_US = 1_000_000
_SECONDS_BETWEEN_CLICKS = 8
_TASTE_SHARE = 0.85
_HOT_SHARE = 0.25
_LIKED, _DISLIKED = 0.6, 0.4


class Product(NamedTuple):
    id: str
    category: int
    price: str
    seller_id: str
    liking: float
    """From 0 to 1: how well it is rated."""


class ShopEvent(NamedTuple):
    occurred_at_us: int
    """Microseconds since the Unix epoch."""
    fields: dict[str, Any]
    """The body for POST /interaction, without event_id and occurred_at."""


class _Session(NamedTuple):
    account_id: str
    session_id: str
    categories: tuple[int, ...]


class DemoShop:
    """Makes events in the order of time, `rate` a second on average, from `start_us` on."""

    def __init__(
        self, *, seed: int, accounts: int = 2_000, products: int = 500, rate: float = 50.0, start_us: int = 0
    ) -> None:
        self._random = Random(seed)
        self._rate = rate
        self.now_us = start_us
        self.products = [self._product(number) for number in range(max(products, len(CATEGORIES)))]
        self.tastes = [self._taste() for _ in range(accounts)]
        self._shelves = [self.products[category :: len(CATEGORIES)] for category in range(len(CATEGORIES))]
        self._zipf = [list(accumulate(1 / rank for rank in range(1, len(shelf) + 1))) for shelf in self._shelves]
        self.hot: Product | None = None
        self._trend_changes_us = start_us
        self._sessions = [self._session() for _ in range(max(3, round(rate * _SECONDS_BETWEEN_CLICKS)))]

    def items(self) -> list[dict[str, Any]]:
        """The catalog, as PUT /items takes it."""
        return [
            {
                "item_id": product.id,
                "title": f"{_QUALITIES[number * 7 % len(_QUALITIES)]} {CATEGORIES[product.category]}",
                "category": CATEGORIES[product.category],
                "tags": [product.seller_id],
                "price": product.price,
                "currency": "EUR",
            }
            for number, product in enumerate(self.products)
        ]

    def until(self, moment_us: int, most: int) -> list[ShopEvent]:
        """The next events up to a moment, at most so many."""
        events: list[ShopEvent] = []
        while self.now_us <= moment_us and len(events) < most:
            events.append(self._next())
        return events

    def take(self, count: int) -> list[ShopEvent]:
        """The next `count` events, whenever they are."""
        return [self._next() for _ in range(count)]

    def _next(self) -> ShopEvent:
        self._move_trend()
        place = self._random.randrange(len(self._sessions))
        fields = next(self._sessions[place], None)
        while fields is None:
            self._sessions[place] = self._session()
            fields = next(self._sessions[place], None)
        event = ShopEvent(self.now_us, fields)
        self.now_us += round(self._random.expovariate(self._rate) * _SECOND_US)
        return event

    def _move_trend(self) -> None:
        while self.now_us >= self._trend_changes_us:
            if self.hot is None:
                self.hot = self._random.choice(self.products)
                seconds = self._random.uniform(40, 60)
            else:
                self.hot = None
                seconds = self._random.uniform(5, 20)
            self._trend_changes_us += round(seconds * _SECOND_US)

    def _product(self, number: int) -> Product:
        category = number % len(CATEGORIES)
        return Product(
            id=f"{CATEGORIES[category]}-{number // len(CATEGORIES) + 1}",
            category=category,
            price=f"{self._random.lognormvariate(3.2, 0.8):.2f}",
            seller_id=f"seller-{self._random.randrange(40) + 1}",
            liking=self._random.betavariate(4, 2),
        )

    def _taste(self) -> tuple[int, ...]:
        return tuple(self._random.sample(range(len(CATEGORIES)), self._random.choice((1, 2))))

    def _pick(self, session: _Session) -> Product:
        if self.hot is not None and self._chance(_HOT_SHARE):
            return self.hot
        category = self._random.choice(session.categories)
        if not self._chance(_TASTE_SHARE):
            category = self._random.randrange(len(CATEGORIES))
        return self._random.choices(self._shelves[category], cum_weights=self._zipf[category])[0]

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _session(self) -> Iterator[dict[str, Any]]:
        # The square makes some accounts come often and most rarely.
        number = int(len(self.tastes) * self._random.random() ** 2)
        session = _Session(f"account-{number}", f"s-{self._random.getrandbits(64):016x}", self.tastes[number])
        return self._visit(session)

    def _visit(self, session: _Session) -> Iterator[dict[str, Any]]:
        cart: list[Product] = []
        for _ in range(1 + min(12, int(self._random.expovariate(0.3)))):
            yield from self._look(session, self._pick(session), cart)
        for product in list(cart):
            if self._chance(0.15):
                cart.remove(product)
                yield _act(session, "remove_from_cart", product)
        if cart and self._chance(0.55):
            yield from self._check_out(session, cart)

    def _look(self, session: _Session, product: Product, cart: list[Product]) -> Iterator[dict[str, Any]]:
        """One product, as somebody gets to it and looks at it."""
        if self._chance(0.25):
            yield _of_category(session, "search", product, {"query": CATEGORIES[product.category]})
            yield _act(session, "click_from_search", product, {"position": self._random.randrange(20)})
        elif self._chance(0.2):
            yield _act(session, "click_from_category", product)
        yield _act(session, "view", product)
        if self._chance(0.1):
            yield _act(session, "view_bounce", product)
            return
        if self._chance(0.08):
            yield _act(session, "view_similar_products", product)
        if self._chance(0.06):
            yield _act(session, "add_to_favorites", product)
        if self._chance(0.03):
            yield _act(session, "ask_question", product)
        if product not in cart and self._chance(0.25):
            cart.append(product)
            yield _act(session, "add_to_cart", product, {"quantity": 1})

    def _check_out(self, session: _Session, cart: list[Product]) -> Iterator[dict[str, Any]]:
        order = {"order_id": f"o-{self._random.getrandbits(64):016x}"}
        quantities = [self._random.choices((1, 2, 3), (85, 12, 3))[0] for _ in cart]
        lines = [
            (product, {"quantity": quantity, **order}) for product, quantity in zip(cart, quantities, strict=True)
        ]
        for product, line in lines:
            yield _act(session, "checkout_started", product, line)
        if not self._chance(0.75):
            return
        for product, line in lines:
            yield _act(session, "purchase", product, line)
        for product, _ in lines:
            yield from self._judge(session, product, order)

    def _judge(self, session: _Session, product: Product, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self._chance(0.3):
            felt = product.liking + self._random.gauss(0, 0.15)
            yield _act(session, _rating(felt), product)
        if self._chance(0.12):
            yield _act(session, "write_review", product)
        if self._chance(0.08 * (1 - product.liking)):
            yield _act(session, "return_product", product, order)
            yield _act(session, "refund_requested", product, order)


def _rating(felt: float) -> str:
    if felt > _LIKED:
        return "rating_high"
    return "rating_low" if felt < _DISLIKED else "rating_medium"


def _act(session: _Session, event_type: str, product: Product, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "account_id": session.account_id,
        "session_id": session.session_id,
        "event_type": event_type,
        "ref_type": PRODUCT,
        "ref_id": product.id,
        "metadata": {"price": product.price, "currency": "EUR", "seller_id": product.seller_id, **(more or {})},
    }


def _of_category(session: _Session, event_type: str, product: Product, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "account_id": session.account_id,
        "session_id": session.session_id,
        "event_type": event_type,
        "ref_type": CATEGORY,
        "ref_id": CATEGORIES[product.category],
        "metadata": metadata,
    }
