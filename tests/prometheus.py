"""Prometheus and its promtool for the tests: Debian's package prometheus, or any other that is on the PATH."""

import shutil
import subprocess
from pathlib import Path

from tests.needed import give_up


def promtool(*arguments: str | Path) -> str:
    """What it says; its complaint fails the test that asks. Skips the test where there is none, or fails it in CI."""
    need("promtool")
    done = subprocess.run(["promtool", *map(str, arguments)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def need(program: str) -> None:
    if shutil.which(program):
        return
    give_up(f"no Prometheus: {program} is not on the PATH", "FOOTFALL_TESTS_NEED_PROMETHEUS")
