"""The TypeScript client, installed and built: once for all who ask, from what package-lock.json says."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

from tests.needed import give_up

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
BUILT = CLIENT / "build"
"""With the tests' scripts; `build/src` is the client."""


@functools.cache
def built_client() -> None:
    """Skips the tests that ask for it where there is no npm, or fails them in CI."""
    if shutil.which("npm") is None:
        give_up("no npm: it is not on the PATH", "FOOTFALL_TESTS_NEED_NPM")
    install()
    npm("exec", "--", "tsc", "-p", "tsconfig.test.json")


def install() -> None:
    installed, locked = CLIENT / "node_modules" / ".package-lock.json", CLIENT / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        npm("ci", "--ignore-scripts")
        os.utime(installed)


def npm(*arguments: str) -> str:
    done = subprocess.run(["npm", *arguments], cwd=CLIENT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"npm {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
    return done.stdout
