"""Where what was fetched once is kept for the next time."""

import os
from pathlib import Path


def cache_dir(*names: str) -> Path:
    """A folder below the user's cache folder, by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().joinpath("footfall", *names)
