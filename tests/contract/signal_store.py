"""What every signal store must do. A backend's test module subclasses this and gives the fixtures.

`store`, and `distant`: a store behind a link that can be held, whose calls give up after DISTANT_TIMEOUT_S.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.actions import LASTING_TYPES, MOST_COUNTED, Action, Hidden, hidden_of
from domain.errors import TransientError
from store import signals_postgres, signals_redis
from store.postgres import Pool, transaction
from store.signals import LASTING, RECENT, SignalStore
from tests.factories import now_us
from tests.slow_link import SlowLink

DISTANT_TIMEOUT_S = 0.5
_DAY_US = 86_400_000_000

AddAction = Callable[..., Action]


@dataclass(frozen=True)
class Distant:
    store: SignalStore
    link: SlowLink


def days_ago(days: float) -> int:
    """Microseconds since the Unix epoch."""
    return now_us() - round(days * _DAY_US)


async def add(store: SignalStore, pool: Pool, *actions: Action) -> None:
    """In a transaction, as a fan-out does."""
    async with transaction(pool) as connection:
        await store.add(connection, actions)


def newest_first(actions: Sequence[Action]) -> list[Action]:
    return sorted(actions, key=attrgetter("occurred_at", "event_id"), reverse=True)


class SignalStoreContract:
    @pytest.fixture
    def account(self) -> str:
        """An account that no other test has."""
        return f"ümlaut / 漢 '\"\n {uuid4()}"

    @pytest.fixture
    def did(self, account: str) -> AddAction:
        """Makes actions of this account."""

        def make(event_type: str = "view", item_id: str = "cup", at: int | None = None, **fields: object) -> Action:
            given = {"account_id": account, "event_id": uuid4().bytes, **fields}
            moment = now_us() if at is None else at
            return Action(item_id=item_id, event_type=event_type, occurred_at=moment, **given)  # type: ignore[arg-type]

        return make

    @pytest.fixture
    def pass_days(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Moves the stores' clock on."""

        def move(days: float) -> None:
            then = days_ago(-days)
            for module in (signals_postgres, signals_redis):
                monkeypatch.setattr(module, "now_us", lambda: then)

        return move

    # Recent actions.

    async def test_an_account_without_actions_has_no_signals(self, store: SignalStore, account: str) -> None:
        assert await store.recent(account) == []
        assert await store.hidden(account) == Hidden()

    async def test_every_field_comes_back(self, store: SignalStore, pool: Pool, account: str, did: AddAction) -> None:
        full = did(
            "add_to_cart", "tasse / 漢", days_ago(1),
            session_id="s" * 128, recommendation_id="r1", position=MOST_COUNTED, price=12.5, quantity=MOST_COUNTED,
        )  # fmt: skip
        bare = did("view", "pot", days_ago(2))
        await add(store, pool, full, bare)
        assert await store.recent(account) == [full, bare]

    async def test_they_come_newest_first_however_they_arrived(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        actions = [did(at=days_ago(27.9 * number / 40), item_id=str(number)) for number in range(40)]
        shuffled = random.Random(5).sample(actions, len(actions))
        for start, end in pairwise([0, 1, 3, 10, 25, 40]):
            await add(store, pool, *shuffled[start:end])
        assert await store.recent(account) == actions

    async def test_of_one_moment_the_order_is_by_event_id(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        moment = now_us()
        actions = [did(at=moment, event_id=UUID(int=number).bytes) for number in range(6)]
        await add(store, pool, *actions[::2])
        await add(store, pool, *actions[1::2])
        assert await store.recent(account) == actions[::-1]

    async def test_no_more_than_asked_for(self, store: SignalStore, pool: Pool, account: str, did: AddAction) -> None:
        actions = [did(at=days_ago(number)) for number in range(9)]
        await add(store, pool, *actions[:5])
        await add(store, pool, *actions[5:])
        assert await store.recent(account, 7) == actions[:7]
        assert await store.recent(account, 1) == actions[:1]

    @pytest.mark.parametrize("at_once", [1_000, 30])
    async def test_the_newest_are_kept_of_very_many(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction, at_once: int
    ) -> None:
        actions = [did(at=days_ago(number / 100)) for number in range(1_000)]
        shuffled = random.Random(6).sample(actions, len(actions))
        for at in range(0, len(shuffled), at_once):
            await add(store, pool, *shuffled[at : at + at_once])
        assert await store.recent(account) == actions[: RECENT.most]

    async def test_accounts_do_not_meet(self, store: SignalStore, pool: Pool, account: str, did: AddAction) -> None:
        accounts = [f"{account}{number}" for number in range(700)]
        actions = [did("purchase", str(number), account_id=one) for number, one in enumerate(accounts)]
        await add(store, pool, *actions)
        for one, action in list(zip(accounts, actions, strict=True))[::50]:
            assert await store.recent(one) == [action]
            assert await store.hidden(one) == Hidden(bought=frozenset({action.item_id}))
        assert await store.recent(account) == []

    async def test_old_actions_are_not_taken_in(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        edge, old, lasting, forgotten = (
            did("purchase", str(days), days_ago(days)) for days in (27.9, 28.1, 167, 169)
        )
        await add(store, pool, old, lasting, edge, forgotten)
        assert await store.recent(account) == [edge]
        assert (await store.hidden(account)).bought == {"27.9", "28.1", "167"}

    async def test_what_grows_old_is_not_read(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction, pass_days: Callable[[float], None]
    ) -> None:
        first, second = did("purchase", "cup", days_ago(20)), did("purchase", "pot", days_ago(2))
        await add(store, pool, first, second)
        pass_days(9)
        assert await store.recent(account) == [second]
        pass_days(30)
        assert await store.recent(account) == []
        assert (await store.hidden(account)).bought == {"cup", "pot"}
        pass_days(7 * 24 - 10)
        assert (await store.hidden(account)).bought == {"pot"}

    # What is not to be seen.

    async def test_what_is_hidden(self, store: SignalStore, pool: Pool, account: str, did: AddAction) -> None:
        types = ["hide_item", "report_product", "dislike", "rating_low", "not_interested", "purchase", "view"]
        await add(store, pool, *(did(event_type, event_type, days_ago(40)) for event_type in types))
        assert await store.hidden(account) == Hidden(
            hidden=frozenset({"hide_item", "report_product"}),
            disliked=frozenset({"dislike", "rating_low"}),
            not_interested=frozenset({"not_interested"}),
            bought=frozenset({"purchase"}),
        )

    async def test_both_are_what_each_is(self, store: SignalStore, pool: Pool, account: str, did: AddAction) -> None:
        assert await store.both(account) == ([], Hidden())
        actions = [did("purchase", f"item-{one}", days_ago(20 * one)) for one in range(4)]
        await add(store, pool, *actions)
        recent, hidden = await store.both(account)
        assert (recent, hidden) == (await store.recent(account), await store.hidden(account))
        assert recent == actions[:2]
        assert hidden.bought == {"item-0", "item-1", "item-2", "item-3"}

    async def test_the_newest_opinion_counts_though_it_arrived_first(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        await add(store, pool, did("like", "cup", days_ago(1)), did("hide_item", "pot", days_ago(1)))
        await add(store, pool, did("dislike", "cup", days_ago(2)), did("like", "pot", days_ago(50)))
        assert await store.hidden(account) == Hidden(hidden=frozenset({"pot"}))

    async def test_the_newest_of_very_many_are_hidden(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        actions = [did("purchase", str(number), days_ago(number / 10)) for number in range(1_200)]
        for at in range(0, len(actions), 400):
            await add(store, pool, *actions[at : at + 400])
        assert (await store.hidden(account)).bought == {str(number) for number in range(LASTING.most)}

    # The rest.

    async def test_a_probe_keeps_nothing(self, store: SignalStore, account: str, did: AddAction) -> None:
        await store.probe([did("purchase"), did("view")])
        assert await store.recent(account) == []
        assert await store.hidden(account) == Hidden()

    async def test_nothing_can_be_added(self, store: SignalStore, pool: Pool) -> None:
        await add(store, pool)
        await store.probe([])

    async def test_it_is_kept_in_order_beside_its_use(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        actions = [did(at=days_ago(number)) for number in range(20)]

        async def use() -> None:
            for one in actions:
                await add(store, pool, one)

        await asyncio.gather(use(), *(store.maintain() for _ in range(5)))
        await store.maintain()
        assert await store.recent(account) == actions

    async def test_it_answers_a_ping(self, store: SignalStore) -> None:
        await store.ping()

    # Faults.

    async def test_a_server_that_does_not_answer_is_given_up_and_used_again(
        self, distant: Distant, pool: Pool, account: str, did: AddAction
    ) -> None:
        one = did("purchase")
        await add(distant.store, pool, one)
        assert await distant.store.recent(account) == [one]
        distant.link.hold()
        with pytest.raises(TransientError):
            await distant.store.recent(account)
        distant.link.let_go()
        assert await distant.store.recent(account) == [one]
        assert await distant.store.recent(f"{account} not there") == []

    async def test_connections_that_are_cut_are_transient(
        self, distant: Distant, pool: Pool, account: str, did: AddAction
    ) -> None:
        await add(distant.store, pool, one := did())
        distant.link.hold()
        reading = asyncio.create_task(distant.store.recent(account))
        await asyncio.sleep(0.1)
        distant.link.cut()
        with pytest.raises(TransientError):
            await reading
        distant.link.let_go()
        assert await distant.store.recent(account) == [one]

    async def test_what_is_erased_is_what_was_done_before(
        self, store: SignalStore, pool: Pool, account: str, did: AddAction
    ) -> None:
        """Also of actions that were added at once; of nobody else."""
        old, new = did("purchase", "old", at=days_ago(2)), did("purchase", "new", at=days_ago(1))
        newer = did("view", "newer")
        of_other = did("purchase", account_id=f"{account} 2", at=days_ago(2))
        await add(store, pool, old, new)
        await add(store, pool, newer, of_other)
        assert await store.erase(account, new.occurred_at) == 2  # a recent one, and a lasting one
        assert await store.recent(account) == [newer, new]
        assert (await store.hidden(account)).bought == {"new"}
        assert await store.recent(of_other.account_id) == [of_other]
        assert await store.erase(account, new.occurred_at) == 0
        assert await store.erase(account, days_ago(0) + 1) == 3
        assert await store.both(account) == ([], Hidden())


Course = list[list[tuple[int, str, int, float]]]
"""What is added, some at once: of which account, what, with which item, so many days ago."""

model_test = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_step = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["view", "add_to_cart", *sorted(LASTING_TYPES)]),
    st.integers(0, 4),
    st.sampled_from([0, 0.5, 1, 2, 27, 29, 160]),
)
any_course = given(course=st.lists(st.lists(_step, min_size=1, max_size=8), max_size=12))


async def check_course(store: SignalStore, pool: Pool, course: Course) -> None:
    """Whatever is added in whatever order reads as a list of it."""
    accounts = [str(uuid4()), str(uuid4())]
    added: list[Action] = []
    for step in course:
        actions = [
            Action(accounts[number], f"p{item}", event_type, days_ago(days), uuid4().bytes)
            for number, event_type, item, days in step
        ]
        await add(store, pool, *actions)
        added += actions
    for one in accounts:
        mine = [action for action in added if action.account_id == one]
        young = [action for action in mine if action.occurred_at > days_ago(28)]
        assert await store.recent(one) == newest_first(young)
        assert await store.hidden(one) == hidden_of(mine)
