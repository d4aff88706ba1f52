"""The metrics that there are, and those that expressions of PromQL name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml  # type: ignore[import-untyped]
from prometheus_client import REGISTRY

import activities.metrics
import api.metrics
import doors.kafka.metrics
import intake.entrance
import intake.metrics
import runtime.process_metrics
import runtime.watch
import serving.metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "footfall.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
MODULES = (
    activities.metrics,
    api.metrics,
    doors.kafka.metrics,
    intake.entrance,
    intake.metrics,
    runtime.process_metrics,
    runtime.watch,
    serving.metrics,
)

_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")


def defined() -> dict[str, str]:
    """Name as it is documented → type, of every metric of ours."""
    families = {one.name: one.type for one in REGISTRY.collect() if one.name.startswith("footfall_")}
    return {name + ("_total" if kind == "counter" else ""): kind for name, kind in families.items()}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def of_dashboard() -> Iterator[str]:
    """Its expressions, with a time in place of Grafana's."""
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "1m")


def of_alerts() -> Iterator[str]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def named(expression: str) -> set[str]:
    """The metrics that an expression reads, a histogram by its own name.

    Raises:
        ValueError: it is no PromQL.

    """
    found: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            found.add(node.name)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return {_family(name) for name in found}


def _family(name: str) -> str:
    return re.sub(f"({'|'.join(_OF_HISTOGRAMS)})$", "", name)
