"""Trainings as an operator lives through them: real processes, killed, cancelled and told to end amid a step."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from bench.planted_blocks import record_planted
from domain.batch import TASK_QUEUE
from domain.training import PROGRESS, STEPS, TRAIN_MODEL, WORKFLOW_ID, TrainInput, TrainProgress
from migrations.runner import migrate_postgres
from recommend.planted import plant
from runtime.postgres_server import EmbeddedPostgres
from store.artifacts import Artifacts
from store.blocks.postgres import PostgresBlockStore
from store.catalog import CatalogStore
from store.models import ModelRegistry
from store.postgres import Pool, create_pool
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.stack import Stack, footfall, footfall_says
from training.retention import SCRATCH

_STOP_S = 30.0
_PATIENCE_S = 120.0


@dataclass
class Trained:
    """A worker over a planted shop, and the trainings that it runs."""

    stack: Stack
    client: Client
    pool: Pool
    models: Path

    async def start(self) -> WorkflowHandle[Any, TrainProgress]:
        return await self.client.start_workflow(
            TRAIN_MODEL, TrainInput(), id=WORKFLOW_ID, task_queue=TASK_QUEUE, result_type=TrainProgress
        )

    def scratch(self) -> set[Path]:
        return set(Path(self.stack.settings["TMPDIR"]).glob(f"{SCRATCH}*"))

    def step_processes(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.stack.processes["worker"].pid).children():
            with suppress(psutil.NoSuchProcess):  # nor what has just ended
                if "runtime.training_step" in child.cmdline():
                    found.append(child)
        return found

    async def amid(self, step: str) -> tuple[str, psutil.Process]:
        """Waits until a step's process works; the model's version and the process."""
        handle = self.client.get_workflow_handle(WORKFLOW_ID)

        async def at_it() -> tuple[str, psutil.Process]:
            try:
                now = await handle.query(PROGRESS, result_type=TrainProgress)
            except RPCError as error:
                raise AssertionError from error
            working = self.step_processes()
            assert now.step == step
            assert working
            return now.version, working[0]

        return await eventually(at_it, within_s=_PATIENCE_S)


@pytest.fixture(scope="module")
async def trained(
    postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Trained]:
    models, scratch = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("scratch")
    namespace = await new_namespace(temporal.address)
    settings = {
        "TEMPORAL_NAMESPACE": namespace,
        "FOOTFALL_MODELS_URL": str(models),
        "FOOTFALL_TRAINING_THREADS": "1",
        "TMPDIR": str(scratch),
    }
    async with (
        new_database(postgres_server.url) as url,
        create_pool(url, name="test", size=2, timeout_s=30) as pool,
    ):
        await migrate_postgres(url)
        stack = Stack(url, temporal.address, servers_dir / "logs", settings)
        try:
            stack.start_unready("worker")
            blocks = PostgresBlockStore(pool)

            async def has_room() -> None:
                assert await pool.fetchval(
                    "SELECT count(*) FROM pg_inherits WHERE inhparent = 'interaction_block'::regclass"
                )

            await eventually(has_room)
            shop = plant(accounts=300, items=200, events=6_000, weeks=3, taste_size=20, seed=4)
            await record_planted(shop, blocks, CatalogStore(pool))
            yield Trained(stack, await Client.connect(temporal.address, namespace=namespace), pool, models)
        finally:
            stack.stop()


async def _result(handle: WorkflowHandle[Any, TrainProgress]) -> TrainProgress:
    return await asyncio.wait_for(handle.result(), _PATIENCE_S)


async def _gone(process: psutil.Process) -> None:
    async def check() -> None:
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

    await eventually(check)


async def test_a_worker_killed_amid_a_step_does_none_twice(trained: Trained) -> None:
    handle = await trained.start()
    version, process = await trained.amid("learn")
    run = trained.models / version
    collected = {file.name: file.stat().st_mtime_ns for file in run.iterdir() if file.is_file()}
    assert {"collect.json", "items.parquet", "actions-0000.parquet"} <= collected.keys()
    trained.stack.kill("worker")
    await _gone(process)
    trained.stack.start_unready("worker")
    done = await _result(handle)
    assert [one.step for one in done.done] == list(STEPS)
    assert done.registered is not None
    assert done.registered.state == "current"
    assert {name: (run / name).stat().st_mtime_ns for name in collected} == collected
    events = (await handle.fetch_history()).events
    scheduled = [
        one.activity_task_scheduled_event_attributes.activity_type.name
        for one in events
        if one.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    assert scheduled == ["tidy_models", *["run_training_step"] * len(STEPS), "register_model"]
    attempts = [
        one.activity_task_started_event_attributes.attempt
        for one in events
        if one.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    ]
    assert [attempts[0], attempts[1], *attempts[3:]] == [1] * (len(attempts) - 1)
    assert attempts[2] == 2


async def test_a_worker_that_is_told_to_end_amid_a_step_does_so_and_another_goes_on(trained: Trained) -> None:
    handle = await trained.start()
    _, process = await trained.amid("learn")
    process.suspend()  # so that it does not come to its end by itself
    worker = trained.stack.processes["worker"]
    worker.terminate()
    code = await asyncio.to_thread(worker.wait, _STOP_S)
    assert code in {0, -signal.SIGTERM}, (trained.stack.logs / "worker.log").read_text()[-3000:]
    await _gone(process)
    trained.stack.start_unready("worker")
    assert (await _result(handle)).registered is not None


async def test_stop_ends_the_steps_process_and_leaves_no_model(trained: Trained) -> None:
    before = len(await ModelRegistry(trained.pool).newest(100))
    of_killed_workers = trained.scratch()
    await trained.start()
    version, process = await trained.amid("learn")
    assert "has ended" in await footfall_says(trained.stack, "train", "--stop")
    await _gone(process)
    assert trained.scratch() == of_killed_workers
    assert len(await ModelRegistry(trained.pool).newest(100)) == before
    assert version in Artifacts(str(trained.models)).folders()
    assert "no training is on" in await footfall_says(trained.stack, "train", "--stop")


async def test_ctrl_c_leaves_the_training_going_and_another_terminal_follows_it(trained: Trained) -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "runtime.cli", "train"],
        env={**trained.stack.environment, "COLUMNS": "250"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    version, working = await trained.amid("learn")
    working.suspend()  # so that it is on as long as this takes
    other = await footfall(trained.stack, "train")
    assert (other.code, "train --follow" in other.err) == (2, True)
    os.kill(process.pid, signal.SIGINT)
    out, _ = await process.communicate()
    assert (process.returncode, "the training goes on" in out.decode()) == (130, True)
    assert "collect" in out.decode()
    working.resume()
    followed = await footfall(trained.stack, "train", "--follow")
    assert followed.code == 0, (followed.out, followed.err)
    for step in STEPS:
        assert step in followed.out
    assert f"model {version} is the current one now" in followed.out


async def test_models_are_listed_switched_and_taken_back(trained: Trained) -> None:
    models = (await footfall(trained.stack, "models", "list", "--json")).json["models"]
    assert models[0]["state"] == "current"
    new, old = models[0]["version"], models[1]["version"]
    assert models[0]["metrics"]["ndcg_at_10"] > 0
    listed = await footfall_says(trained.stack, "models", "list")
    assert new in listed
    assert "retired" in listed
    assert f"model {old} is the current one now" in await footfall_says(
        trained.stack, "models", "rollback", "--reason", "worse"
    )
    reasons = {
        one["version"]: (one["state"], one["reason"])
        for one in (await footfall(trained.stack, "models", "list", "--json")).json["models"]
    }
    assert (reasons[old], reasons[new][0]) == (("current", "worse"), "retired")
    await footfall_says(trained.stack, "models", "activate", new)
    missing = await footfall(trained.stack, "models", "activate", "20000101-000000")
    assert missing.code != 0
    assert "there is no model" in missing.err


async def test_a_model_that_is_only_registered_answers_nobody(trained: Trained) -> None:
    current = await ModelRegistry(trained.pool).current()
    done = (await footfall(trained.stack, "train", "--register-only", "--json")).json
    assert done["registered"]["state"] == "candidate"
    assert done["done"][2]["result"]["figures"]["behind_current"] == pytest.approx(0, abs=0.2)
    after = await ModelRegistry(trained.pool).current()
    assert current is not None
    assert after is not None
    assert after.version == current.version
