"""A step of training in a process of its own: STEP VERSION WEEKS SCRATCH PARENT.

Lines on standard output say what it is at; the last one is its result, as JSON. Started by the worker
(activities/training.py), which reads them and the exit code.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from activities.training import TRY_AGAIN
from domain.errors import TransientError
from domain.event_types import load_event_weights
from domain.training import ACTIONS, COLLECT, StepResult
from recommend.model import Model, UnfitModelError
from recommend.ranking import Ranker
from recommend.training import TrainingSettings
from runtime.children import die_with_parent
from runtime.commands import connected_settings
from runtime.connections import open_block_store, open_pool
from runtime.settings import Settings, models_url
from serving.current_model import MODEL
from store.artifacts import Artifacts
from store.catalog import CatalogStore
from store.models import ModelRegistry
from training import steps
from training.collect import collect_actions, collect_catalog, count_actions, fingerprint

_log = logging.getLogger(__name__)
_POOL_SIZE = 8
_NICENESS = 10
"""Nobody waits for a training; for all else on its machine somebody does."""


def main() -> None:
    step, version, weeks, scratch, parent = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5]
    die_with_parent(signal.SIGKILL, int(parent))
    os.nice(_NICENESS)
    settings = connected_settings()
    mark = f"{step}.json"
    try:
        run = Artifacts(models_url(settings)).folder(version)
        done = run.read(mark)
        if done is None:
            done = msgspec.json.encode(_do(settings, run, step, weeks, scratch))
            run.write(mark, done)
    except TransientError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(TRY_AGAIN)
    _tell(done.decode())


def _do(settings: Settings, run: Artifacts, step: str, weeks: int, scratch: Path) -> StepResult:
    started = time.monotonic()
    if step == COLLECT:
        figures, data = asyncio.run(_collect(settings, run, scratch, weeks))
    else:
        weights = load_event_weights(settings.event_types_file)
        threads = settings.training_threads or os.cpu_count() or 1
        work = steps.Work(
            run,
            scratch,
            weights,
            lambda: asyncio.run(_rival(settings, scratch)),
            _tell,
            TrainingSettings(threads=threads),
        )
        figures, data = steps.STEPS[step](work), None
    return StepResult(time.monotonic() - started, figures, data)


async def _collect(settings: Settings, run: Artifacts, scratch: Path, weeks: int) -> tuple[dict[str, float], str]:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, "footfall training", _POOL_SIZE))
        blocks = await stack.enter_async_context(open_block_store(settings, pool))
        await collect_actions(blocks, run, scratch, weeks, _tell)
        await collect_catalog(CatalogStore(pool), run, scratch)
    return {ACTIONS: count_actions(run)}, fingerprint(run)


async def _rival(settings: Settings, scratch: Path) -> Ranker | None:
    """That of the current model; None where there is none, or none whose features are computed in the same way."""
    async with open_pool(settings, "footfall training", 1) as pool:
        current = await ModelRegistry(pool).current()
    if current is None:
        return None
    files = Artifacts(current.location).folder(MODEL)
    try:
        return Model.from_folder(files.fetch(scratch / current.version)).ranker
    except UnfitModelError as error:
        _log.warning("the current model can't be compared with: %s", error)
        return None


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
