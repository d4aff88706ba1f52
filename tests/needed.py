"""Servers that a test needs and that a machine may lack."""

import os
from typing import NoReturn

import pytest


def give_up(reason: str, needed: str) -> NoReturn:
    """Skips the test, or fails it where the environment variable `needed` says so, as in CI."""
    if os.environ.get(needed):
        pytest.fail(reason)
    pytest.skip(reason)
