"""What is said of how costs grow."""

import json
import math
from pathlib import Path

import pytest

from bench.growth.__main__ import page, write
from bench.growth.axis import Axis, Kind, Measure, slope


def test_the_slope_is_the_exponent() -> None:
    assert slope([(10**power, 3 * 10 ** (power * 1.5)) for power in range(3, 8)]) == pytest.approx(1.5)
    assert slope([(1_000, 5.0), (10_000, 5.0)]) == pytest.approx(0)


def test_a_size_of_none_has_no_logarithm_and_is_left_out() -> None:
    assert slope([(0, 7.0), (10, 1.0), (100, 10.0)]) == pytest.approx(1)
    assert math.isnan(slope([(0, 7.0), (10, 1.0)]))


@pytest.mark.parametrize(
    ("kind", "values", "verdict"),
    [
        ("each", (1.0, 1.1, 1.2), "no"),
        ("each", (1.0, 1.5, 2.2), "**superlinear**"),
        ("each", (1.0, 0.9, 1.3), "**superlinear at last**"),
        ("whole", (1.0, 10.0, 105.0), "no"),
        ("whole", (1.0, 20.0, 400.0), "**superlinear**"),
        ("figure", (1.0, 20.0, 400.0), ""),
    ],
)
def test_the_total_of_a_cost_is_what_is_judged(kind: Kind, values: tuple[float, ...], verdict: str) -> None:
    points = [(10.0 ** (number + 3), value) for number, value in enumerate(values)]
    assert Measure("µs", kind, points).verdict == verdict


def test_a_line_a_measure_and_a_column_a_size(tmp_path: Path) -> None:
    axis = Axis("products", "Products", "products", "Filled by hand.")
    for size, cost in ((1_000, 2.0), (10_000, 20.0)):
        axis.add(size, "top of 7 days", cost, "ms", "whole")
    axis.add(10_000, "on disk", 321.0, "MB", "figure")
    axis.note("Not measured\nat 100,000.")
    write(tmp_path, [axis], "a machine")
    written = (tmp_path / "growth.md").read_text()
    assert written == page([axis], "a machine")
    assert "| top of 7 days, ms | 2 | 20 | whole | 1.00 | 1.00 | no |" in written
    assert "| on disk, MB |  | 321 | figure |  |  |  |" in written
    assert "- Not measured at 100,000." in written
    figures = json.loads((tmp_path / "growth.json").read_text())["figures"]
    assert figures["products"]["top of 7 days"]["points"] == [[1_000, 2.0], [10_000, 20.0]]
    assert (tmp_path / "growth-products.png").read_bytes().startswith(b"\x89PNG")
