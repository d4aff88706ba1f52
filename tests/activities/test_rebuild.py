"""A rebuild of popularity: the difference is exact, whatever is under way beside it and wherever it is cut off."""

import pytest

from domain.interaction import Interaction
from store.postgres import Pool
from tests.activities.rebuilding import Shop
from tests.factories import some_interactions

DAY_US = 86_400_000_000


@pytest.fixture
def shop(pool: Pool) -> Shop:
    return Shop.on_postgres(pool)


def some(count: int = 20, seed: int = 1) -> list[Interaction]:
    return some_interactions(count, seed=seed)


async def test_nothing_differs_where_all_is_right(shop: Shop) -> None:
    await shop.carry(*some(90))
    await shop.carry(*some(90, 2))
    plan = await shop.begin("compare")
    done = await shop.recount(plan)
    settled = await shop.settle(plan)
    assert (settled.products, settled.product_days, settled.worst) == (0, 0, [])
    assert (done.accounts, done.events) == (20, 180)
    assert 0 < done.counted < 180
    await shop.end(plan)
    await shop.assert_exact()
    await shop.assert_nothing_is_on()


async def test_rows_wherever_they_are_when_it_begins_and_wherever_they_go(shop: Shop) -> None:
    """Persisted and applied or not, before the moment or after it, while blocks are read or later."""
    released, logged, marked, persisted, both, after = [some(15, seed) for seed in range(6)]
    await shop.carry(*released)
    in_log, only_marked, only_persisted, in_both = [
        await shop.accept(*one) for one in (logged, marked, persisted, both)
    ]
    await shop.apply(only_marked)
    await shop.persist(only_persisted)
    await shop.persist(in_both)
    await shop.apply(in_both)
    await shop.pool.execute("DELETE FROM product_popularity WHERE product_id < 'p2'")
    await shop.pool.execute("UPDATE product_popularity_daily SET view_count = view_count + 7")

    plan = await shop.begin()
    await shop.carry(*after)
    await shop.persist(in_log)  # in a block, and never applied before the end
    await shop.apply(only_persisted)
    await shop.release(only_persisted)
    await shop.persist(only_marked)
    await shop.release(only_marked)
    await shop.recount(plan)
    await shop.apply(in_log)
    assert (await shop.settle(plan)).any
    await shop.add(plan)
    await shop.end(plan)
    await shop.assert_exact()
    assert not (await shop.difference()).any
