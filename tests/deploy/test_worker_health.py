"""The worker's health check: a real worker passes it, nothing else does."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.client import Client

from deploy.worker_health import fault, polled_lately
from runtime.ports import free_port
from tests.conftest import Temporal, eventually
from tests.stack import Stack

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def check(**variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, ROOT / "deploy" / "worker_health.py"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def poller(identity: str, age: timedelta) -> PollerInfo:
    info = PollerInfo(identity=identity)
    info.last_access_time.FromDatetime(NOW - age)
    return info


async def test_a_working_worker_is_healthy(stack: Stack) -> None:
    async def healthy() -> None:
        run = check(TEMPORAL_ADDRESS=stack.temporal_address)
        assert (run.returncode, run.stderr) == (0, "")

    await eventually(healthy)


async def test_a_task_queue_that_nobody_polls_has_no_healthy_worker(temporal_client: Client) -> None:
    found = await fault(temporal_client, "nobody-is-here")
    assert found is not None
    assert "nobody-is-here" in found


def test_a_worker_of_another_host_does_not_count() -> None:
    pollers = [poller("7@there", timedelta(seconds=1)), poller("7@almost-here", timedelta(seconds=1))]
    assert not polled_lately(pollers, "here", NOW)
    assert polled_lately([*pollers, poller("9@here", timedelta(seconds=1))], "here", NOW)


def test_a_worker_that_has_not_polled_for_long_does_not_count() -> None:
    assert polled_lately([poller("7@here", timedelta(seconds=70))], "here", NOW)
    assert not polled_lately([poller("7@here", timedelta(seconds=150))], "here", NOW)


def test_without_temporal_it_says_so() -> None:
    port = free_port("127.0.0.1", 0)
    run = check(TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
    assert run.returncode == 1
    assert f"Temporal at 127.0.0.1:{port}" in run.stderr
    assert "Traceback" not in run.stderr


def test_without_the_namespace_it_says_so(temporal: Temporal) -> None:
    run = check(TEMPORAL_ADDRESS=temporal.address, TEMPORAL_NAMESPACE="absent")
    assert run.returncode == 1
    assert "absent" in run.stderr
    assert "Traceback" not in run.stderr
