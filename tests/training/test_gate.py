"""The gate's arithmetic, on figures made up for it."""

from domain.training import ACTIONS, behind, behind_error
from training.gate import fault_of


def _metrics(
    popularity: tuple[float, float] = (-0.1, 0.01), current: tuple[float, float] | None = None, actions: float = 1_000
) -> dict[str, float]:
    """Behind each by so much, with so large a standard error."""
    figures = {ACTIONS: actions, "ndcg_at_10": 0.2, "popularity_ndcg_at_10": 0.2 + popularity[0]}
    figures |= {behind("popularity"): popularity[0], behind_error("popularity"): popularity[1]}
    if current is not None:
        figures |= {"current_ndcg_at_10": 0.2 + current[0]}
        figures |= {behind("current"): current[0], behind_error("current"): current[1]}
    return figures


def test_who_is_ahead_passes() -> None:
    assert fault_of(_metrics(), {}) is None
    assert fault_of(_metrics(current=(-0.05, 0.01)), {ACTIONS: 1_000}) is None


def test_who_is_behind_by_more_than_chance_does_not_and_is_told_why() -> None:
    fault = fault_of(_metrics(popularity=(0.05, 0.02)), {})
    assert fault == "ndcg_at_10 0.2000, popularity alone has 0.2500: behind by 0.0500 ± 0.0200"
    fault = fault_of(_metrics(current=(0.03, 0.01)), {})
    assert fault == "ndcg_at_10 0.2000, the current model's ranker has 0.2300: behind by 0.0300 ± 0.0100"


def test_what_may_be_chance_is_no_fault() -> None:
    assert fault_of(_metrics(popularity=(0.05, 0.025), current=(0.02, 0.01)), {}) is None
    assert fault_of(_metrics(current=(0.0, 0.0)), {}) is None


def test_the_figures_that_the_current_model_was_registered_with_are_of_other_questions() -> None:
    assert fault_of(_metrics(), {"ndcg_at_10": 0.9, ACTIONS: 1_000}) is None


def test_half_of_the_data_is_a_fault() -> None:
    assert fault_of(_metrics(actions=500), {ACTIONS: 1_000}) is None
    assert fault_of(_metrics(actions=499), {ACTIONS: 1_000}) == (
        "it is trained on 499 actions, the current model on 1,000"
    )
