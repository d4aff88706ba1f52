"""What a comparison says of its figures."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.comparison import front, limits
from bench.comparison.closed import Tally
from bench.comparison.figures import HUNDRED_A_REQUEST, ONE_CLIENT, Figures, Report, Section, best, ratios
from bench.comparison.page import page, write
from bench.comparison.targets import Target, targets
from bench.latency import Latency


def _latencies(*milliseconds: float) -> list[Latency]:
    return [Latency([one * 1000]) for one in milliseconds]


def _report() -> Report:
    report = Report()
    report.loads[HUNDRED_A_REQUEST] = {
        "Footfall": Figures([900.0, 1_100.0, 1_000.0], [800.0, 1_000.0, 1_200.0], [700.0] * 3, _latencies(1, 2, 3)),
        "Restate": Figures([12.0, 10.0, 11.0], [8.0, 10.0, 12.0], [], _latencies(50, 40, 60)),
    }
    return report


def _target(report: Report, words: str) -> Target:
    return next(one for one in targets(report) if one.asked.startswith(words))


def test_figures_are_medians_with_their_spread_and_ratios_of_the_same_round() -> None:
    lines = page(_report()).splitlines()
    assert "## 100 a request, 32 connections" in lines
    row = "| Footfall | 1,000 | 1,000 (800 - 1,200) | 100 | 700 | 2.00 | 2.00 | 2.00 | 2.00 | 3.00 |"
    assert row in lines
    assert "| Restate | 11.0 | 10.0 (8.00 - 12.0) | 1.00 |  | 50.0 | 50.0 | 50.0 | 50.0 | 60.0 |" in lines


def test_without_restate_there_is_no_ratio() -> None:
    report = _report()
    del report.loads[HUNDRED_A_REQUEST]["Restate"]
    assert "| Footfall | 1,000 | 1,000 (800 - 1,200) |  | 700 | 2.00 |" in page(report)


def test_targets_are_held_against_the_median_of_the_run() -> None:
    report = _report()
    times = "100 a request, 32 connections: drained, by Restate"
    assert (_target(report, times).found, _target(report, times).reached) == ([100.0] * 3, False)
    report.loads[HUNDRED_A_REQUEST]["Restate"] = Figures([1.0] * 3, [7.0, 7.0, 7.0], [], _latencies(1, 1, 1))
    assert _target(report, times).reached is True
    assert (
        "| 100 a request, 32 connections: drained, by Restate | ≥ 110 times | 143 (114 - 171) times | yes |"
        in page(report)
    )


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    assert _target(_report(), "on disk").reached is None
    assert "after the first week | ≤ 60 bytes an event |  | not measured |" in page(_report())


def test_a_share_is_of_the_same_round_and_a_bound_above_is_one() -> None:
    report = _report()
    for value in (2_000.0, 4_000.0, 2_400.0):
        report.note(Section.LIMITS, limits.BY_100.name, value)
    share = next(one for one in targets(report) if one.unit == " %")
    assert share.found == [40.0, 25.0, 50.0]
    assert share.reached
    report.loads[ONE_CLIENT]["Footfall"] = Figures([1.0], [1.0], [], _latencies(8))
    report.took(Section.LATENCY, front.BARE_COMMIT, Latency([2_000.0]))
    commits = _target(report, "accept, one client")
    assert list(commits.found) == pytest.approx([4], rel=0.001)
    assert commits.reached is False


def test_the_best_has_the_highest_median() -> None:
    assert best([1.0, 9.0, 2.0], [3.0, 3.0, 3.0], []) == [3.0, 3.0, 3.0]
    assert ratios([1.0, 2.0], []) == [] == best([], [])


def test_page_figures_and_plots_are_written(tmp_path: Path) -> None:
    report = _report()
    for value in (3.0, 1.0, 2.0):
        report.note(Section.LIMITS, "PostgreSQL alone", value)
    report.took(Section.LATENCY, front.ACCEPT_LOADED, Latency(range(1_000, 9_000)))
    write(tmp_path, "a machine", report)
    written = (tmp_path / "compare.md").read_text()
    assert "a machine" in written
    assert "| PostgreSQL alone | 2.00 (1.00 - 3.00) |" in written
    said = json.loads((tmp_path / "compare.json").read_text())
    assert said["loads"]["100 a request, 32 connections"]["Restate"]["drained_per_s"] == [8.0, 10.0, 12.0]
    kept = Latency.decode(said["latencies"][front.ACCEPT_LOADED][0]["hdr_histogram_us"])
    assert kept.count == 8_000
    assert kept.percentile_ms(50) == pytest.approx(5, rel=0.001)
    for name in ("compare", "compare-latency", "compare-100-32"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()


@dataclass
class _System:
    counts: list[int]
    name: str = "a system"
    _left: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self._left = iter(self.counts)

    def counted(self) -> int:
        return next(self._left)


def test_counts_are_waited_for_and_noted_when_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    report, system = Report(), _System([5, 6, 8, 8])
    tally = Tally(_any(system), report)
    tally.add(3)
    tally.close()
    assert report.exact == ["a system: 3"]


@pytest.mark.parametrize("counts", [[5, 9], [5, 6, 8, 9]])
def test_one_counted_twice_ends_the_run_even_when_it_comes_late(
    counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    tally = Tally(_any(_System(counts)), Report())
    tally.add(3)
    with pytest.raises(SystemExit, match="9 are counted, 8 were accepted"):
        tally.close()


def test_a_curve_ends_where_only_one_is_above() -> None:
    assert Latency([1_000.0] * 100).curve()[-1][0] == 99
    assert Latency([1_000.0] * 20_000).curve()[-1][0] == pytest.approx(99.99)


def _any(system: object) -> Any:
    return system
