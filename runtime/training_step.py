"""A step of training in a process of its own: STEP VERSION WEEKS; its result on standard output, as JSON.

Started by the worker (activities/training.py), which reads the exit code.
"""

import asyncio
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from activities.training import TRY_AGAIN
from domain.errors import TransientError
from domain.event_types import load_event_weights
from domain.training import ACTIONS, COLLECT, StepResult
from runtime.children import die_with_parent
from runtime.commands import connected_settings
from runtime.connections import open_block_store, open_pool
from runtime.settings import Settings, models_url
from store.artifacts import Artifacts
from store.catalog import CatalogStore
from training import steps
from training.collect import collect_actions, collect_catalog, count_actions, fingerprint

_POOL_SIZE = 8


def main() -> None:
    die_with_parent(signal.SIGKILL)
    step, version, weeks = sys.argv[1], sys.argv[2], int(sys.argv[3])
    settings = connected_settings()
    run = Artifacts(models_url(settings)).folder(version)
    mark = f"{step}.json"
    try:
        done = run.read(mark)
        if done is None:
            done = msgspec.json.encode(_do(settings, run, step, weeks))
            run.write(mark, done)
    except TransientError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(TRY_AGAIN)
    sys.stdout.buffer.write(done)


def _do(settings: Settings, run: Artifacts, step: str, weeks: int) -> StepResult:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="footfall-training-") as scratch:
        if step == COLLECT:
            figures, data = asyncio.run(_collect(settings, run, Path(scratch), weeks))
        else:
            weights = load_event_weights(settings.event_types_file)
            figures, data = steps.STEPS[step](run, Path(scratch), weights), None
    return StepResult(time.monotonic() - started, figures, data)


async def _collect(settings: Settings, run: Artifacts, scratch: Path, weeks: int) -> tuple[dict[str, float], str]:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, "footfall training", _POOL_SIZE))
        blocks = await stack.enter_async_context(open_block_store(settings, pool))
        await collect_actions(blocks, run, scratch, weeks)
        await collect_catalog(CatalogStore(pool), run, scratch)
    return {ACTIONS: count_actions(run)}, fingerprint(run)


if __name__ == "__main__":
    main()
