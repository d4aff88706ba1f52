"""Where what was fetched once is kept for the next time."""

import os
from pathlib import Path


def cache_dir(*names: str) -> Path:
    """A folder below the user's cache folder, by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().joinpath("footfall", *names)


def keep_compiled_loops() -> None:
    """Has this process, and what it starts, keep what Numba compiles; to be called before Numba is imported."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir("numba")))
