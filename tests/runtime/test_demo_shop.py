from collections import Counter, defaultdict

import msgspec

from runtime.demo_run import bodies
from runtime.demo_shop import CATEGORIES, DemoShop, ShopEvent

START_US = 1_790_000_000_000_000
SECOND_US = 1_000_000


def shop(seed: int = 1, **sizes: int) -> DemoShop:
    return DemoShop(seed=seed, start_us=START_US, **sizes)


def test_the_same_seed_makes_the_same_events_and_another_others() -> None:
    assert shop().take(500) == shop().take(500)
    assert shop().take(500) != shop(2).take(500)


def test_events_come_in_the_order_of_time_at_the_rate() -> None:
    times = [event.occurred_at_us for event in shop().take(20_000)]
    assert times == sorted(times)
    assert times[0] >= START_US
    assert 45 < 20_000 / ((times[-1] - START_US) / SECOND_US) < 55


def test_until_gives_what_is_due_and_no_more() -> None:
    one, other = shop(), shop()
    due = one.until(START_US + 10 * SECOND_US, 10_000)
    assert due == other.take(len(due))
    assert due[-1].occurred_at_us <= START_US + 10 * SECOND_US < other.take(1)[0].occurred_at_us
    assert one.until(START_US + 10 * SECOND_US, 10_000) == []
    assert len(one.until(START_US + 60 * SECOND_US, 7)) == 7


def test_accounts_act_mostly_in_their_tastes() -> None:
    made = shop()
    category_of = {product.id: product.category for product in made.products}
    inside = total = 0
    for event in made.take(20_000):
        if event.fields["event_type"] == "view":
            account = int(event.fields["account_id"].removeprefix("account-"))
            total += 1
            inside += category_of[event.fields["ref_id"]] in made.tastes[account]
    assert 0.6 < inside / total < 0.95


def test_popularity_within_a_category_is_zipf() -> None:
    views = Counter(event.fields["ref_id"] for event in shop().take(50_000) if event.fields["event_type"] == "view")
    for category in CATEGORIES:
        assert views[f"{category}-1"] > views[f"{category}-10"] > 0


def test_the_hot_product_is_viewed_far_more_while_it_is_hot() -> None:
    made = shop()
    while made.hot is None:
        made.take(1)
    hot = made.hot
    during: list[ShopEvent] = []
    while made.hot == hot:
        during += made.take(1)
    after = made.take(len(during))

    def views(events: list[ShopEvent]) -> int:
        return sum(one.fields["ref_id"] == hot.id and one.fields["event_type"] == "view" for one in events)

    assert views(during) > 5 * views(after) + 50


def test_the_trend_moves_on_every_minute_or_so() -> None:
    made = shop()
    hot = {made.hot.id for _ in range(20 * 60 * 50) if made.take(1) and made.hot}
    assert 10 <= len(hot) <= 30


def test_sessions_follow_the_funnel() -> None:
    by_session: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    accounts: dict[str, str] = {}
    for event in shop().take(20_000):
        fields = event.fields
        by_session[fields["session_id"]].append((fields["event_type"], fields["ref_id"]))
        assert accounts.setdefault(fields["session_id"], fields["account_id"]) == fields["account_id"]
    steps = ["view", "add_to_cart", "checkout_started", "purchase"]
    bought = 0
    for acts in by_session.values():
        for product in {ref for act, ref in acts if act == "purchase"}:
            places = [acts.index((step, product)) for step in steps]
            assert places == sorted(places)
            assert ("remove_from_cart", product) not in acts
            bought += 1
    assert bought > 100


def test_every_kind_of_event_occurs() -> None:
    kinds = {event.fields["event_type"] for event in shop().take(50_000)}
    assert kinds >= {
        "view", "view_bounce", "search", "click_from_search", "click_from_category", "add_to_cart",
        "remove_from_cart", "add_to_favorites", "checkout_started", "purchase", "rating_high", "rating_medium",
        "rating_low", "write_review", "return_product", "refund_requested",
    }  # fmt: skip


def test_a_shop_can_be_tiny() -> None:
    assert len(shop(accounts=1, products=1).take(1_000)) == 1_000


def test_bodies_have_an_id_of_their_own_and_the_time() -> None:
    events = shop().take(2)
    sent = [msgspec.json.decode(one) for one in bodies(events)]
    assert sent[0]["event_id"] != sent[1]["event_id"]
    assert sent[0]["occurred_at"].startswith("2026-09-21T")
    assert sent[0]["account_id"] == events[0].fields["account_id"]
