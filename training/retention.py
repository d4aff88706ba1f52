"""What stays on the disk of former trainings.

Of models that can be switched to, the folder `model`: the current one, the one before it, the newest three, and those
that experiments name which have not ended. Of a training that failed, everything for a day, for whoever looks into
it; scratch files of a worker that was killed likewise, on its machine.
"""

import asyncio
import re
import shutil
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.training import VERSION_FORMAT, Tidied
from serving.current_model import MODEL
from store.artifacts import Artifacts
from store.models import ModelRegistry

NEWEST_KEPT = 3
FAILED_KEPT = timedelta(days=1)
SCRATCH = "footfall-training-"
"""What the names of folders for scratch files begin with."""
_VERSION = re.compile(r"\d{8}-\d{6}", re.ASCII)
"""Whatever has another name is not ours to remove."""


class Retention:
    def __init__(self, registry: ModelRegistry, models_url: str) -> None:
        self._registry = registry
        self._models_url = models_url

    async def tidy(self) -> Tidied:
        """Removes the rest; cut off anywhere, the next one goes on. Raises TransientError or PermanentError."""
        given_up = await self._registry.give_up(NEWEST_KEPT)
        files = await self._registry.files()
        await asyncio.to_thread(_remove_scratch)
        return Tidied(given_up, await asyncio.to_thread(self._remove, files, datetime.now(UTC)))

    def _remove(self, files: dict[str, bool], now: datetime) -> list[str]:
        """Folders that no model is in; the versions of those that came to none."""
        there = Artifacts(self._models_url)
        failed: list[str] = []
        for version in filter(_VERSION.fullmatch, there.folders()):
            if files.get(version):
                _leave_model(there.folder(version))
            elif version in files:
                there.remove(version)
            elif now - datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC) > FAILED_KEPT:
                there.remove(version)
                failed.append(version)
        return failed


def _leave_model(run: Artifacts) -> None:
    """The files that it was trained from were needed until it was registered."""
    for name in (*run.names(), *run.folders()):
        if name != MODEL:
            run.remove(name)


def _remove_scratch() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with suppress(OSError):  # it is another user's, or another worker was quicker
            if time.time() - folder.stat().st_mtime > FAILED_KEPT.total_seconds():
                shutil.rmtree(folder)
