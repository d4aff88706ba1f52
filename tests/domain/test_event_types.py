"""The table of event types: complete, exact, and replaceable by a file."""

from pathlib import Path

import pytest

from domain.errors import InvalidInputError
from domain.event_types import EventWeight, load_event_weights


def test_the_table_that_ships_has_25_types() -> None:
    weights = load_event_weights()
    assert len(weights) == 25
    assert weights["purchase"] == EventWeight(800_000, "purchase")
    assert weights["report_product"] == EventWeight(-1_200_000, None)
    assert weights["product_impression"] == EventWeight(100_000, None)
    assert weights["checkout_started"] == EventWeight(600_000, None)
    assert weights["view_bounce"] == EventWeight(-100_000, "view")
    assert sum(weight.counter is not None for weight in weights.values()) == 10


def test_a_file_replaces_the_table(tmp_path: Path) -> None:
    file = tmp_path / "types.toml"
    file.write_text('wave = { weight = 2, counter = "view" }\nnod = { weight = 0.000001 }\n')
    assert load_event_weights(file) == {"wave": EventWeight(2_000_000, "view"), "nod": EventWeight(1, None)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wave = 2", "expected"),
        ("wave = { weight = 0.0000001 }", "six decimals"),
        ('wave = { weight = 1, counter = "waves" }', "none of view"),
        ('wave = { weight = "1" }', "not a number"),
        ("wave = { weight = nan }", "not a number"),
        ("wave = { weight = 1, count = 1 }", "expected"),
        ("wave = {", "types.toml"),
    ],
)
def test_a_wrong_file_says_what_and_where(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "types.toml"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=says):
        load_event_weights(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nowhere\.toml"):
        load_event_weights(tmp_path / "nowhere.toml")
