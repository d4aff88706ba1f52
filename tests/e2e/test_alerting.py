"""A real Prometheus beside a real stack: a fan-out is parked, the alert fires, and ends when it is replayed."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from runtime.ports import free_port
from tests.conftest import eventually
from tests.deploy.metric_names import ALERTS
from tests.e2e.conftest import Broken
from tests.factories import body
from tests.prometheus import need
from tests.stack import Stack, footfall_says


@pytest.fixture
async def prometheus(stack: Stack, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """With the alerts as they are, only quicker: looked at each second, and firing at the second look."""
    need("prometheus")
    rules = yaml.safe_load(ALERTS.read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "1s"
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(rules))
    targets = {"footfall-api": stack.port, "footfall-worker": stack.metrics_port}
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for name, port in targets.items()
    ]
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": often, "rule_files": ["alerts.yml"], "scrape_configs": jobs}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port("127.0.0.1", 0)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


async def _firing(prometheus: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    try:
        answer = await prometheus.get("/alerts")
    except httpx.TransportError as error:
        raise AssertionError("Prometheus does not listen yet") from error
    assert answer.status_code == httpx.codes.OK, "Prometheus is not ready yet"
    alerts = answer.json()["data"]["alerts"]
    return {one["labels"]["alertname"]: one for one in alerts if one["state"] == "firing"}


async def test_a_parked_fan_out_is_told_and_the_telling_ends_with_its_replay(
    stack: Stack, http: httpx.AsyncClient, prometheus: httpx.AsyncClient, broken: Broken
) -> None:
    async with broken():  # for whatever else is under way then too
        assert (await http.post("/interaction", json=body())).status_code == 202

        async def fires() -> dict[str, Any]:
            firing = await _firing(prometheus)
            assert "FootfallParked" in firing
            return firing["FootfallParked"]

        alert = await eventually(fires, within_s=60)
        assert alert["labels"]["fan_out"] == "popularity"
        assert "popularity is parked in " in alert["annotations"]["summary"]
        assert alert["annotations"]["runbook_url"] == "runbook.md#footfallparked"
    await footfall_says(stack, "fan-outs", "replay", "--all")

    async def ended() -> None:
        assert "FootfallParked" not in await _firing(prometheus)

    await eventually(ended, within_s=60)
