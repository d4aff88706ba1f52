"""The dashboard, the alerts, the guide's table and the code name the same metrics."""

import re

import promql_parser
import pytest

from tests.deploy.metric_names import ROOT, defined, named, of_alerts, of_dashboard, panels

GUIDE = ROOT / "docs" / "operations.md"
# What else a scrape has: Prometheus' own, the client library's, and those of Temporal's SDK, which
# tests/e2e/test_metrics.py holds against a real one.
_NOT_OURS = re.compile(r"up$|process_|temporal_")


def _documented() -> dict[str, set[str]]:
    """Metric → its labels, of the table in the guide."""
    rows = re.findall(r"^\| `(footfall_\w+)` \|[^|]*\|([^|]*)\|", GUIDE.read_text(), re.MULTILINE)
    return {name: {one.strip() for one in labels.split(",")} - {""} for name, labels in rows}


def test_every_metric_is_in_the_guide_and_the_guide_has_no_other() -> None:
    assert sorted(_documented()) == sorted(defined())


def test_names_are_as_prometheus_would_have_them() -> None:
    for name, kind in defined().items():
        assert re.fullmatch(r"footfall_[a-z_]+", name), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb)(_|$)", name), f"{name} is in no base unit"


def test_no_label_grows_with_traffic() -> None:
    few = {"activity", "cache", "error", "fan_out", "part", "pool", "process", "reason", "result", "rung", "source"}
    few |= {"partition", "state", "status", "topic", "version"}  # as many as somebody made
    assert set().union(*_documented().values()) == few


@pytest.mark.parametrize("expression", [*of_dashboard(), *of_alerts()])
def test_expressions_parse_and_name_metrics_that_there_are(expression: str) -> None:
    names = named(expression)
    assert names
    unknown = {name for name in names - set(defined()) if not _NOT_OURS.match(name)}
    assert not unknown


@pytest.mark.parametrize("expression", [*of_dashboard(), *of_alerts()])
def test_expressions_use_labels_that_the_metric_has(expression: str) -> None:
    added = {"job", "instance", "le"}
    known, asked = _documented(), set[str]()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector) and node.matchers is not None:
            asked.update(one.name for one in node.matchers.matchers)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            asked.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    names = named(expression)
    if any(name.startswith("temporal_") for name in names):
        return
    of_them = set().union(added, *(known.get(name, set()) for name in names))
    assert asked <= of_them


def test_panels_have_names_of_their_own_and_do_not_lie_upon_each_other() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_panels_ask_the_prometheus_that_is_chosen_and_say_what_they_show() -> None:
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
