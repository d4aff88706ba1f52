"""`footfall up` as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from doors.bharatml.ask_health import serves
from runtime.instance import Instance, read_instance
from runtime.ports import free_port
from tests.factories import body

pytestmark = pytest.mark.timeout(240)


class Up:
    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.output = data_dir.parent / "output"
        self.process: subprocess.Popen[bytes] | None = None
        self.recommender_port = free_port("127.0.0.1", 0)
        self.grpc_port = free_port("127.0.0.1", 0)

    def start(self) -> Instance:
        port = str(free_port("127.0.0.1", 0))
        own = {
            "FOOTFALL_DATA_DIR": str(self.data_dir),
            "FOOTFALL_PORT": port,
            "FOOTFALL_RECOMMENDER_PORT": str(self.recommender_port),
            "FOOTFALL_GRPC_PORT": str(self.grpc_port),
            "COLUMNS": "120",
        }
        command = [sys.executable, "-m", "runtime.cli", "up"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, env={**os.environ, **own}, stdout=output)
        deadline = time.monotonic() + 120
        while (instance := read_instance(self.data_dir)) is None:
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.02)
        return instance

    def tree(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, sign: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(sign)
        return self.process.wait(60)


@pytest.fixture
def up() -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="footfall-up-") as folder:
        Path(folder).chmod(0o755)
        made = Up(Path(folder) / "data")
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop(signal.SIGINT)


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        parsed: dict[str, object] = json.load(answer)
        return parsed


def _post(instance: Instance) -> dict[str, object]:
    request = urllib.request.Request(
        f"{instance.api_url}/interaction", json.dumps(body()).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        parsed: dict[str, object] = json.load(answer)
        return parsed


def test_it_comes_up_counts_stops_whole_and_remembers(up: Up) -> None:
    instance = up.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{up.recommender_port}/health/ready", timeout=30) as answer:
        assert answer.read() == b"ready"
    assert instance.grpc_address == f"127.0.0.1:{up.grpc_port}"
    assert serves(instance.grpc_address)
    accepted = _post(instance)
    receipt = _get(f"{instance.api_url}/batches/{accepted['batch_id']}?wait=30s")
    assert receipt["state"] == "done"
    assert instance.temporal_ui_url is not None
    assert _get(f"{instance.temporal_ui_url}/api/v1/namespaces/default/workflows/{accepted['batch_id']}")
    output = up.output.read_text()
    for url in (instance.api_url, instance.docs_url, instance.temporal_ui_url, instance.grpc_address):
        assert url in output
    tree = up.tree()
    assert len(tree) > 4
    assert up.stop(signal.SIGINT) == 0
    assert not any(one.is_running() for one in tree)
    assert read_instance(up.data_dir) is None
    again = up.start()
    assert _get(f"{again.api_url}/popularity/cup")["view_count"] == 1


def test_a_child_that_dies_is_started_again(up: Up) -> None:
    instance = up.start()
    for name in ("worker", "api", "grpc", "temporal", "postgres"):
        os.kill(instance.pids[name], signal.SIGKILL)
        instance = _with_another(up, name, instance.pids[name])
    deadline = time.monotonic() + 60
    while True:
        try:
            accepted = _post(instance)
            receipt = _get(f"{instance.api_url}/batches/{accepted['batch_id']}?wait=10s")
            if receipt["state"] == "done":
                return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert time.monotonic() < deadline


def _with_another(up: Up, name: str, pid: int) -> Instance:
    deadline = time.monotonic() + 60
    while True:
        instance = read_instance(up.data_dir)
        if instance is not None and instance.pids[name] != pid:
            return instance
        assert time.monotonic() < deadline, up.output.read_text()
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of their parent's death on Linux only")
def test_nothing_outlives_it_when_it_is_killed(up: Up) -> None:
    up.start()
    tree = up.tree()
    up.stop(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in tree):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_second_one_on_the_same_folder_is_refused(up: Up) -> None:
    up.start()
    environment = {**os.environ, "FOOTFALL_DATA_DIR": str(up.data_dir)}
    second = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "up"], env=environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "already, as process" in second.stderr
