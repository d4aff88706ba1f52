"""The alert rules: when each fires, when none does, and that each has its section in the runbook."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.prometheus import promtool

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"

Series = dict[str, str]

# promtool's notation: 0+60x120 grows by 60 at each of 120 steps of a minute, _ is nothing.
QUIET: Series = {
    'up{job="footfall-api",instance="a"}': "1x120",
    'up{job="footfall-worker",instance="a"}': "1x120",
    'footfall_requests_refused_total{status="422"}': "0+600x120",
    'footfall_requests_refused_total{status="429"}': "0x120",
    'footfall_requests_refused_total{status="500"}': "0x120",
    "footfall_commit_seconds_count": "0+6000x120",
    'footfall_commit_seconds_bucket{le="1"}': "0+6000x120",
    'footfall_commit_seconds_bucket{le="2.5"}': "0+6000x120",
    'footfall_commit_seconds_bucket{le="+Inf"}': "0+6000x120",
    "footfall_backlog_age_seconds": "30x120",
    'footfall_visible_seconds_bucket{fan_out="persist",le="5"}': "0+600x120",
    'footfall_visible_seconds_bucket{fan_out="persist",le="10"}': "0+600x120",
    'footfall_visible_seconds_bucket{fan_out="persist",le="+Inf"}': "0+600x120",
    'footfall_parked_batches{fan_out="persist"}': "0x120",
    'footfall_quarantined_interactions{fan_out="persist"}': "7x120",
    "footfall_swept_batches_total": "0x20 5x100",
    "footfall_batch_start_failures_total": "0x20 3x100",
    "footfall_ledger_end_timestamp_seconds": "400000x120",
    'footfall_postgres_waiting{job="footfall-api",instance="a",pool="reads"}': "0x120",
    'footfall_activity_failures_total{activity="persist",error="TransientError"}': "0+5x120",
    'footfall_activity_failures_total{activity="persist",error="PermanentError"}': "3x120",
    "footfall_compaction_unreadable_weeks_total": "0x120",
    "footfall_model_trained_timestamp_seconds": "1x120",
    'footfall_recommendation_answers_total{rung="ranked"}': "0+60x120",
    'footfall_recommendation_answers_total{rung="popular"}': "0+6x120",
    'footfall_kafka_paused{job="footfall-consume",instance="a"}': "0x120",
    'footfall_kafka_lag{topic="clicks",partition="0"}': "200000-1000x120",
    'footfall_kafka_dead_letters_total{topic="clicks",reason="invalid"}': "3x120",
}

# alert → what is otherwise, when it is looked at, labels, and what it says.
FIRES: dict[str, tuple[Series, str, dict[str, str], str]] = {
    "FootfallApiDown": (
        {'up{job="footfall-api",instance="a"}': "1x20 0x100"},
        "30m",
        {},
        "No API answers Prometheus.",
    ),
    "FootfallWorkerDown": (
        {'up{job="footfall-worker",instance="a"}': "1x20 _x100"},
        "30m",
        {"job": "footfall-worker"},
        "No worker answers Prometheus. What is accepted is kept, and not carried on.",
    ),
    "FootfallServerErrors": (
        {'footfall_requests_refused_total{status="500"}': "0+60x120"},
        "30m",
        {},
        "1 answers a second are errors that nobody foresaw.",
    ),
    "FootfallRefusing": (
        {'footfall_requests_refused_total{status="429"}': "0+120x120"},
        "30m",
        {},
        "Of all requests to record, over 1 % are refused with 429 or 503 (2 a second).",
    ),
    "FootfallCommitSlow": (
        {'footfall_commit_seconds_bucket{le="1"}': "0+5000x120"},
        "30m",
        {},
        "One of a hundred requests waits 2.41s and more for its commit.",
    ),
    "FootfallBacklogOld": (
        {"footfall_backlog_age_seconds": "300x120"},
        "30m",
        {},
        "Something accepted 5m 0s ago is not in every read model.",
    ),
    "FootfallVisibleLate": (
        {
            'footfall_visible_seconds_bucket{fan_out="persist",le="5"}': "0+500x120",
            'footfall_visible_seconds_bucket{fan_out="persist",le="10"}': "0+600x120",
        },
        "30m",
        {"fan_out": "persist"},
        "persist: p99 until visible is 9.7s.",
    ),
    "FootfallParked": (
        {'footfall_parked_batches{fan_out="persist"}': "0x20 2x100"},
        "30m",
        {"fan_out": "persist"},
        "persist is parked in 2 batches, which wait for somebody to decide.",
    ),
    "FootfallQuarantineGrowing": (
        {'footfall_quarantined_interactions{fan_out="persist"}': "7+1x120"},
        "30m",
        {"fan_out": "persist"},
        "persist: more interactions are in quarantine than a quarter of an hour ago.",
    ),
    "FootfallSweeping": (
        {"footfall_swept_batches_total": "0+1x120"},
        "60m",
        {},
        "For half an hour the sweeper has been finding batches that nobody carried.",
    ),
    "FootfallTemporalUnreachable": (
        {"footfall_batch_start_failures_total": "0+10x120"},
        "30m",
        {},
        "Temporal takes no new workflows. What is accepted is kept, and not carried on.",
    ),
    "FootfallLedgerEnds": (
        {"footfall_ledger_end_timestamp_seconds": "90000x120"},
        "30m",
        {},
        "The ledger has days for 1d 0h 30m 0s more; then nothing is accepted.",
    ),
    "FootfallPoolExhausted": (
        {'footfall_postgres_waiting{job="footfall-api",instance="a",pool="commits"}': "5x120"},
        "30m",
        {"job": "footfall-api", "instance": "a", "pool": "commits"},
        "a: 5 wait for a connection of the pool commits.",
    ),
    "FootfallActivityFailed": (
        {'footfall_activity_failures_total{activity="collect",error="KeyError"}': "_x20 1x100"},
        "25m",
        {"activity": "collect"},
        "collect failed in a way that no retry mends.",
    ),
    "FootfallBlocksUnreadable": (
        {"footfall_compaction_unreadable_weeks_total": "0x20 1x100"},
        "30m",
        {},
        "Compaction met blocks that are not what was written.",
    ),
    "FootfallModelOld": (
        {"footfall_model_trained_timestamp_seconds": "1x5800"},
        "5700m",
        {},
        "The model that answers is 3d 22h 59m 59s old.",
    ),
    "FootfallLowerRungs": (
        {'footfall_recommendation_answers_total{rung="popular"}': "0+60x120"},
        "30m",
        {},
        "Over a fifth of the recommendations (1 a second) stand on lower rungs.",
    ),
    "FootfallKafkaPaused": (
        {'footfall_kafka_paused{job="footfall-consume",instance="a"}': "1x120"},
        "30m",
        {"instance": "a"},
        "a has read nothing for five minutes: what it read can not be recorded.",
    ),
    "FootfallKafkaBehind": (
        {'footfall_kafka_lag{topic="clicks",partition="0"}': "150000+5000x120"},
        "30m",
        {"topic": "clicks"},
        "clicks: 300k messages are not recorded yet, and it gets more.",
    ),
    "FootfallKafkaDeadLetters": (
        {'footfall_kafka_dead_letters_total{topic="clicks",reason="invalid"}': "3+1x120"},
        "30m",
        {"topic": "clicks", "reason": "invalid"},
        "clicks: messages went to the dead letters (invalid).",
    ),
}


def rules() -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def _case(name: str, series: Series, at: str, expected: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": alert, "exp_alerts": alerts} for alert, alerts in expected.items()
        ],
    }


def _hold(cases: list[dict[str, Any]], folder: Path) -> None:
    written = folder / "alerts_test.yml"
    written.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": cases}))
    promtool("test", "rules", written)


def test_where_nothing_is_wrong_none_fires(tmp_path: Path) -> None:
    _hold([_case("quiet", QUIET, at, {alert: [] for alert in rules()}) for at in ("15m", "90m")], tmp_path)


@pytest.mark.parametrize("alert", rules())
def test_each_fires_and_says_what_is_wrong(alert: str, tmp_path: Path) -> None:
    otherwise, at, labels, summary = FIRES[alert]
    rule = rules()[alert]
    said = {"summary": summary, "runbook_url": rule["annotations"]["runbook_url"]}
    fired = {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": said}
    _hold([_case(alert, {**QUIET, **otherwise}, at, {alert: [fired]})], tmp_path)


def test_promtool_takes_the_configuration(tmp_path: Path) -> None:
    folder = shutil.copytree(ALERTS.parent, tmp_path / "prometheus")
    (folder / "api-key").write_text("made by whoever starts it")
    promtool("check", "config", folder / "prometheus.yml")


def test_severities_are_those_that_the_guide_explains() -> None:
    assert {rule["labels"]["severity"] for rule in rules().values()} == {"page", "ticket"}


def _sections(page: Path = RUNBOOK) -> dict[str, str]:
    """Headings of a page as anchors, as GitHub makes them, with their text."""
    parts = re.split(r"^#{2,4} (.*)$", page.read_text(), flags=re.MULTILINE)
    headings, texts = parts[1::2], parts[2::2]
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"): text
        for heading, text in zip(headings, texts, strict=True)
    }


@pytest.mark.parametrize("alert", rules())
def test_each_has_its_section_in_the_runbook(alert: str) -> None:
    page, _, anchor = rules()[alert]["annotations"]["runbook_url"].partition("#")
    assert (RUNBOOK.parent / page).resolve() == RUNBOOK
    assert anchor == alert.lower()
    section = _sections()[anchor]
    for part in ("**Means.**", "**Look.**", "**Do.**"):
        assert part in section, f"{alert}: {part}"


def test_sections_of_alerts_are_of_alerts_that_there_are() -> None:
    assert {one for one in _sections() if one.startswith("footfall")} == {one.lower() for one in rules()}


@pytest.mark.parametrize("page", ["runbook.md", "operations.md"])
def test_links_resolve(page: str) -> None:
    text = (RUNBOOK.parent / page).read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = RUNBOOK.parent / (name or page)
        assert target.exists(), link
        if anchor:
            assert anchor in _sections(target), link
