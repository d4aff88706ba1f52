"""Records the histories that the replay test holds the workflows against: `python -m pytest` this file.

Run it, and commit what it writes, when a workflow gets a new path. Old histories stay: workflows that are open
while a new version rolls out have them.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.batch import DiscardRequest
from domain.compaction import CompactionInput
from domain.precompute import PrecomputeInput
from domain.training import STEPS, WORKFLOW_ID, TrainInput
from tests.conftest import eventually
from tests.workflows.conftest import Carriage
from tests.workflows.test_compact_blocks import Compactor, compactor
from tests.workflows.test_erase_account import Eraser, eraser
from tests.workflows.test_precompute_recommendations import Maker, maker
from tests.workflows.test_rebuild_popularity import Rebuilder, rebuilder
from tests.workflows.test_record_interactions import Failing
from tests.workflows.test_train_model import Trainer, trainer
from workflows.rebuild_popularity import RebuildPopularity
from workflows.record_interactions import RecordInteractions

__all__ = ["compactor", "eraser", "maker", "rebuilder", "trainer"]

FOLDER = Path(__file__).parent / "histories"


def _file(name: str, carriage: Carriage) -> Path:
    return FOLDER / f"{name}{'_local_first' if carriage.local_first else ''}.json"


async def _record(handle: WorkflowHandle[Any, Any], file: Path) -> None:
    """Without the folders of this machine, which stack traces name."""
    history = (await handle.fetch_history()).to_json()
    for folder in (sys.prefix, str(FOLDER.parents[2])):
        history = history.replace(f"{folder}/", "")
    file.write_text(history)


async def test_record_all_done(carriage: Carriage) -> None:
    handle = await carriage.start()
    await handle.result()
    await _record(handle, _file("all_done", carriage))


async def test_record_parked_and_replayed(carriage: Carriage) -> None:
    carriage.popularity = Failing(carriage.attempts, permanent=True)
    handle = await carriage.start()

    async def is_parked() -> None:
        assert carriage.parked

    await eventually(is_parked)
    await _record(handle, _file("parked", carriage))
    await handle.execute_update(RecordInteractions.replay, [])
    await handle.result()
    await _record(handle, _file("parked_and_replayed", carriage))


async def test_record_discarded(carriage: Carriage) -> None:
    carriage.popularity = Failing(carriage.attempts, permanent=True)
    handle = await carriage.start()

    async def is_parked() -> None:
        assert carriage.parked

    await eventually(is_parked)
    await handle.execute_update(RecordInteractions.discard, DiscardRequest("a test shop"))
    await handle.result()
    await _record(handle, _file("discarded", carriage))


async def test_record_a_second_attempt(carriage: Carriage) -> None:
    carriage.popularity = Failing(1, permanent=False)
    handle = await carriage.start()
    await handle.result()
    await _record(handle, _file("second_attempt", carriage))


async def test_record_compaction(compactor: Compactor) -> None:
    compactor.failures = 1
    handle = await compactor.start(CompactionInput(weeks_back=1))
    await handle.result()
    await _record(handle, FOLDER / "compacted.json")


async def test_record_rebuild(rebuilder: Rebuilder) -> None:
    handle = await rebuilder.start()
    await handle.result()
    await _record(handle, FOLDER / "rebuilt.json")


async def test_record_verification(rebuilder: Rebuilder) -> None:
    handle = await rebuilder.start("repair")

    async def waits() -> None:
        assert (await handle.query(RebuildPopularity.progress)).stage.startswith("waiting")

    await eventually(waits)
    await handle.signal(RebuildPopularity.names_read)
    await handle.result()
    await _record(handle, FOLDER / "verified_and_repaired.json")


async def test_record_rebuild_that_was_cancelled(rebuilder: Rebuilder) -> None:
    rebuilder.hold.clear()
    handle = await rebuilder.start()

    async def recounting() -> None:
        assert (await handle.query(RebuildPopularity.progress)).stage == "recounting"

    await eventually(recounting)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await _record(handle, FOLDER / "rebuild_cancelled.json")


async def test_record_training(trainer: Trainer) -> None:
    trainer.failures = {STEPS[1]: [ApplicationError("down", type="TransientError")]}
    handle = await trainer.start(TrainInput())
    await handle.result()
    await _record(handle, FOLDER / "trained.json")


async def test_record_training_with_too_little(trainer: Trainer) -> None:
    trainer.actions = 0
    handle = await trainer.start(TrainInput())
    await handle.result()
    await _record(handle, FOLDER / "trained_on_too_little.json")


async def test_record_training_that_was_cancelled(trainer: Trainer) -> None:
    trainer.goes_on.clear()
    handle = await trainer.start(TrainInput())

    async def at_work() -> None:
        assert trainer.steps

    await eventually(at_work)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await _record(handle, FOLDER / "training_cancelled.json")


async def test_record_training_at_night(trainer: Trainer) -> None:
    handle = await trainer.start_tonight()
    await handle.result()
    await _record(handle, FOLDER / "trained_at_night.json")


async def test_record_training_at_night_beside_another(trainer: Trainer) -> None:
    trainer.goes_on.clear()
    by_hand = await trainer.start(TrainInput(), WORKFLOW_ID)
    handle = await trainer.start_tonight()
    await handle.result()
    await _record(handle, FOLDER / "trained_at_night_beside_another.json")
    trainer.goes_on.set()
    await by_hand.result()


async def test_record_precompute(maker: Maker) -> None:
    maker.failures = 1
    handle = await maker.start(PrecomputeInput())
    await handle.result()
    await _record(handle, FOLDER / "precomputed.json")


async def test_record_erasure(eraser: Eraser) -> None:
    eraser.failures = 1
    handle = await eraser.start()
    await handle.result()
    await _record(handle, FOLDER / "erased.json")
