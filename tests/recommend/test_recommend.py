"""Whole answers: the planted taste, three clicks in another one, and what must not be shown."""

from collections import Counter

import numpy as np
import pytest

from domain.actions import Action, Hidden
from recommend.answer import Answer, Request
from recommend.arrays import DAY_US, SECOND_US
from recommend.candidates import CandidateSettings
from recommend.model import Model
from recommend.recommend import arrange, known_history, merge_for, recommend, shown, sources, unranked
from recommend.rules import Rules
from recommend.shelf import stocked
from tests.recommend.conftest import Shop
from tests.recommend.test_history import signals_before

_BARE = Rules(diversity=0, share_of_category=1, exploration=0, freshness=0)


def tastes(shop: Shop, answer: Answer) -> Counter[int]:
    laws = shop.planted.laws
    return Counter(int(laws.taste_of_item[int(one.item_id.removeprefix("item-"))]) for one in answer.items)


def clicks(shop: Shop, taste: int, now_us: int) -> list[Action]:
    laws = shop.planted.laws
    liked = np.flatnonzero(laws.taste_of_item == taste)
    best = liked[np.argsort(-laws.popularity[liked])][:3]
    return [Action("a", f"item-{one}", "view", now_us - back * 20 * SECOND_US, bytes(16), session_id="now")
            for back, one in enumerate(best.tolist())]  # fmt: skip


def test_three_clicks_in_another_taste_change_the_answer_at_once(shop: Shop) -> None:
    laws = shop.planted.laws
    now_us = shop.model.trained_until_us
    turned = 0
    for place in shop.split.places[:20].tolist():
        signals = signals_before(shop.actions, place)
        account = int(shop.actions.account_ids[shop.actions.account[place]].removeprefix("account-"))
        other = next(one for one in range(16) if one not in laws.tastes[account])
        before = recommend(shop.model, Request("a", limit=10), signals, Hidden(), now_us, _BARE)
        after_clicks = [*clicks(shop, other, now_us), *signals]
        after = recommend(shop.model, Request("a", limit=10), after_clicks, Hidden(), now_us, _BARE)
        turned += tastes(shop, after)[other] > max(tastes(shop, before)[other], 5)
    assert turned >= 18


def test_the_reason_names_an_item_of_the_account(shop: Shop) -> None:
    signals = signals_before(shop.actions, int(shop.split.places[2]))
    own = {one.item_id for one in signals}
    answer = recommend(shop.model, Request("a", limit=20), signals, Hidden(), shop.model.trained_until_us, _BARE)
    named = [one.reason for one in answer.items if one.reason.kind in ("viewed", "bought")]
    assert len(named) > 10
    assert {one.item_id for one in named} <= own
    bought = {one.item_id for one in signals if one.event_type == "purchase"}
    assert all((one.item_id in bought) == (one.kind == "bought") for one in named)


def test_scores_are_chances_and_fall(shop: Shop) -> None:
    signals = signals_before(shop.actions, int(shop.split.places[2]))
    answer = recommend(shop.model, Request("a", limit=50), signals, Hidden(), shop.model.trained_until_us, _BARE)
    scores = [one.score for one in answer.items]
    assert len(scores) == 50
    assert scores == sorted(scores, reverse=True)
    assert 1 >= scores[0] > scores[-1] > 0
    assert sum(scores) <= 1.5
    assert answer.rung == "ranked"
    assert answer.model_version == "test"


def test_what_must_not_be_shown_is_not(shop: Shop) -> None:
    now_us = shop.model.trained_until_us
    signals = signals_before(shop.actions, int(shop.split.places[4]))

    def shown_ids(request: Request, hidden: Hidden = Hidden(), rules: Rules = _BARE) -> list[str]:  # noqa: B008
        answer = recommend(shop.model, request, signals, hidden, now_us, rules)
        return [one.item_id for one in answer.items]

    first = shown_ids(Request("a", limit=10))
    assert len(first) == len(set(first)) == 10
    for place, hidden in enumerate(
        (
            Hidden(hidden=frozenset(first[:1])), Hidden(disliked=frozenset(first[1:2])),
            Hidden(not_interested=frozenset(first[2:3])), Hidden(bought=frozenset(first[3:4])),
        )
    ):  # fmt: skip
        assert first[place] not in shown_ids(Request("a", limit=10), hidden)
    assert first[0] not in shown_ids(Request("a", limit=10, exclude=frozenset(first[:1])))
    assert first[0] not in shown_ids(Request("a", limit=10), rules=Rules(blocked=frozenset(first[:1])))
    assert first[3] in shown_ids(
        Request("a", limit=10), Hidden(bought=frozenset(first[3:4])), Rules(exclude_bought=False, exploration=0)
    )
    own = {one.item_id for one in signals}
    assert own & set(shown_ids(Request("a", limit=100)))
    assert not own & set(shown_ids(Request("a", limit=100, exclude_seen=True)))


def test_only_the_category_that_was_asked_for(shop: Shop) -> None:
    signals = signals_before(shop.actions, int(shop.split.places[4]))
    name = shop.items.category_names[0]
    request = Request("a", limit=20, category=name)
    answer = recommend(shop.model, request, signals, Hidden(), shop.model.trained_until_us)
    codes = [shop.model.item_codes[one.item_id] for one in answer.items]
    assert len(codes) == 20
    assert {int(shop.items.category[one]) for one in codes} == {0}
    nothing = recommend(shop.model, Request("a", category="none such"), signals, Hidden(), 1)
    assert nothing.items == []


def test_an_unknown_account_gets_what_is_popular_and_trending(shop: Shop) -> None:
    now_us = shop.model.trained_until_us
    answer = recommend(shop.model, Request("nobody", limit=10), [], Hidden(), now_us, _BARE)
    assert len(answer.items) == 10
    assert {one.source for one in answer.items} <= {"popular", "trending"}
    codes = [shop.model.item_codes[one.item_id] for one in answer.items]
    counts = np.bincount(shop.split.known.item, minlength=len(shop.items))
    assert counts[codes].mean() > 3 * counts.mean()


def test_an_unknown_account_that_prefers_a_category_gets_it(shop: Shop) -> None:
    name = shop.items.category_names[1]
    request = Request("nobody", limit=10, preferred_categories=[name, "none such"])
    rules = Rules(diversity=0, share_of_category=1, exploration=0)
    answer = recommend(shop.model, request, [], Hidden(), shop.model.trained_until_us, rules)
    codes = [shop.model.item_codes[one.item_id] for one in answer.items]
    assert np.mean(shop.items.category[codes] == 1) > 0.5


def test_similar_items_are_like_the_item_and_not_itself(shop: Shop) -> None:
    laws = shop.planted.laws
    same = []
    for item in range(0, 60, 3):
        request = Request("nobody", limit=5, context="similar", item_id=f"item-{item}")
        answer = recommend(shop.model, request, [], Hidden(), shop.model.trained_until_us, _BARE)
        assert f"item-{item}" not in [one.item_id for one in answer.items]
        same.append(tastes(shop, answer)[int(laws.taste_of_item[item])] / max(len(answer.items), 1))
    assert np.mean(same) > 0.6


def test_without_the_ranker_the_sources_places_decide(shop: Shop) -> None:
    signals = signals_before(shop.actions, int(shop.split.places[2]))
    now_us = shop.model.trained_until_us
    request = Request("a", limit=10)
    shelf = stocked(shop.model, (), now_us)
    history = known_history(shop.model, request, signals, now_us)
    found = {name: source() for name, source in sources(shop.model, request, history, shelf).items()}
    merged = merge_for(shop.model, request, found)
    candidates = shown(shop.model, request, history, Hidden(), merged, _BARE, shelf)
    items = arrange(shop.model, history, candidates, unranked(candidates), 10, now_us, _BARE)
    best = found["collaborative"].item[0]
    assert shop.items.item_ids[best] in [one.item_id for one in items[:3]]
    assert items[0].score == 1
    assert [one.score for one in items] == sorted((one.score for one in items), reverse=True)


@pytest.mark.parametrize("small_catalog", [0, 1_000])
def test_a_small_catalog_is_ranked_whole(shop: Shop, small_catalog: int) -> None:
    model = Model(
        "x", shop.model.parts, shop.model.kinds, shop.ranker, CandidateSettings(small_catalog=small_catalog)
    )
    answer = recommend(model, Request("nobody", limit=400), [], Hidden(), model.trained_until_us + DAY_US, _BARE)
    assert (len(answer.items) == 400) == (small_catalog > 0)
