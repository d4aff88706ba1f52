"""Plans: what is refused, and what is kept."""

from datetime import UTC, datetime

import pytest

from domain.errors import InvalidInputError
from domain.experiment import (
    Arm,
    Assignment,
    Experiment,
    Plan,
    encode_plan,
    header_value,
    model_of,
    read_plan,
    rules_of,
)

PLAN = (
    b'{"name": "fresher", "arms": [{"name": "control", "weight": 90}, {"name": "new", "weight": 10, "model": "v2", '
    b'"rules": {"freshness": 0.2}}], "metric": "revenue", "alpha": 0.01, "currency": "EUR"}'
)


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = read_plan(PLAN)
    assert [(arm.name, arm.weight, arm.model, arm.rules) for arm in plan.arms] == [
        ("control", 90, None, {}),
        ("new", 10, "v2", {"freshness": 0.2}),
    ]
    assert (plan.metric, plan.alpha, plan.currency) == ("revenue", 0.01, "EUR")
    assert plan.changes == {"model", "freshness"}
    assert read_plan(encode_plan(plan)) == plan


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"weight": 90', b'"weight": 89', "must add up to 100"),
        (b'"weight": 90', b'"weight": 0', "arms"),
        (b'"weight": 90', b'"weight": 45.5', "arms"),
        (b'"name": "new"', b'"name": "control"', "the same name"),
        (b'"name": "new"', b'"name": "new arm"', "not of the form"),
        (b'"name": "fresher"', b'"name": "fresher\\n"', "not of the form"),
        (b'"name": "fresher"', b'"name": "Fresher"', "not of the form"),
        (b'"metric": "revenue"', b'"metric": "clicks"', "metric"),
        (b'"alpha": 0.01', b'"alpha": 0', "alpha"),
        (b'"currency": "EUR"', b'"currency": "EURO"', "ISO 4217"),
        (b'"model": "v2"', b'"modell": "v2"', "modell"),
        (b'"freshness": 0.2', b'"freshness": "0.2"', "arms"),
        (b'"freshness": 0.2', b'"freshness": true', "arms"),
        (b'"rules"', b"rules", "malformed"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_and_says_why(old: bytes, new: bytes, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        read_plan(PLAN.replace(old, new))


def test_a_plan_names_three_models_at_the_most() -> None:
    arms = [Arm("control", 60), *(Arm(f"new-{number}", 10, model=f"v{number}") for number in range(3))]
    assert Plan("fresher", [*arms, Arm("again", 10, model="v1")]).models == {"v0", "v1", "v2"}
    with pytest.raises(ValueError, match="more than 3 models"):
        Plan("fresher", [*arms, Arm("another", 10, model="v3")])


def test_an_answer_is_by_all_arms_together() -> None:
    assigned = [
        Assignment("fresher", Arm("new", 50, rules={"freshness": 0.3})),
        Assignment("older", Arm("new", 50, model="v1", rules={"diversity": 0})),
    ]
    assert (model_of(assigned), rules_of(assigned)) == ("v1", {"freshness": 0.3, "diversity": 0})
    assert (model_of(assigned[:1]), rules_of([])) == (None, {})


def test_the_state_is_told_by_the_times() -> None:
    plan, now = read_plan(PLAN), datetime.now(UTC)
    assert Experiment(plan, 0, now).state == "draft"
    assert Experiment(plan, 5, now, now).state == "running"
    assert Experiment(plan, 5, now, now, now).state == "stopped"


def test_the_header_names_every_experiment_and_its_arm() -> None:
    assigned = [Assignment("fresher", Arm("new", 50)), Assignment("wider", Arm("control", 50))]
    assert header_value(assigned) == "fresher:new, wider:control"
    assert header_value([]) == ""
