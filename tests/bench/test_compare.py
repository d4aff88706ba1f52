"""What a comparison says of its figures."""

import json
from pathlib import Path

from bench.compare import Figures, Load, Table, page, write


def _table() -> Table:
    one = Load(100, 32)
    return {
        one: {
            "Footfall": Figures(
                [900.0, 1_100.0, 1_000.0], [800.0, 1_000.0, 1_200.0], [1.0, 2.0, 3.0], [9.0, 9.0, 9.0]
            ),
            "Restate": Figures([12.0, 10.0, 11.0], [8.0, 10.0, 12.0], [50.0, 40.0, 60.0], [99.0, 98.0, 97.0]),
        }
    }


def test_figures_are_medians_with_their_spread_and_ratios_of_these() -> None:
    lines = page(_table(), {}).splitlines()
    assert lines[0] == "## 100 a request, 32 connections"
    assert "| Footfall | 1,000 | 1,000 | 800 - 1,200 | 100.0 | 2.00 | 9.0 |" in lines
    assert "| Restate | 11 | 10 | 8 - 12 | 1.0 | 50.00 | 98.0 |" in lines


def test_without_restate_there_is_no_ratio() -> None:
    table = _table()
    for systems in table.values():
        del systems["Restate"]
    assert "| Footfall | 1,000 | 1,000 | 800 - 1,200 |  | 2.00 | 9.0 |" in page(table, {})


def test_page_figures_and_plots_are_written(tmp_path: Path) -> None:
    write(tmp_path, "a machine", _table(), {"PostgreSQL alone": [3.0, 1.0, 2.0]})
    written = (tmp_path / "compare.md").read_text()
    assert "a machine" in written
    assert "| PostgreSQL alone | 2 | 1 - 3 |" in written
    figures = json.loads((tmp_path / "compare.json").read_text())["figures"]
    assert figures["100 a request, 32 connections"]["Restate"]["drained_per_s"] == [8.0, 10.0, 12.0]
    assert (tmp_path / "compare-100-32.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "compare-100-32.svg").read_text()
