"""What becomes of a trained model, in a real registry; and steps as processes that end in every way."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.training import TRY_AGAIN, Training
from domain.training import RegisterInput, StepInput, StepResult, behind, behind_error
from store.models import ModelRegistry
from store.postgres import Pool
from tests.conftest import eventually


def _metrics(ours: float, popularity: float = 0.1, current: float | None = None) -> dict[str, float]:
    """As judging finds them, all with a standard error of 0.01."""
    figures = {"actions": 1_000.0, "ndcg_at_10": ours}
    for rival, theirs in (("popularity", popularity), ("current", current)):
        if theirs is not None:
            figures[f"{rival}_ndcg_at_10"] = theirs
            figures |= {behind(rival): theirs - ours, behind_error(rival): 0.01}
    return figures


@pytest.fixture
def registry(pool: Pool) -> ModelRegistry:
    return ModelRegistry(pool)


@pytest.fixture
def training(registry: ModelRegistry, tmp_path: Path) -> Training:
    """Whose steps do what stands in the file `step.py`."""
    return Training(registry, [sys.executable, str(tmp_path / "step.py")], "/models")


async def _register(
    training: Training, version: str, metrics: dict[str, float], *, activate: bool = True, force: bool = False
) -> str:
    work = RegisterInput(version, "abc", metrics, activate, force)
    return (await ActivityEnvironment().run(training.register, work)).state


class TestGate:
    async def test_a_model_that_beats_popularity_answers(self, training: Training, registry: ModelRegistry) -> None:
        assert await _register(training, "a", _metrics(0.2)) == "current"
        current = await registry.current()
        assert current is not None
        assert (current.version, current.location, current.fingerprint) == ("a", "/models/a", "abc")

    async def test_one_that_does_not_is_refused_and_says_why(
        self, training: Training, registry: ModelRegistry
    ) -> None:
        assert await _register(training, "a", _metrics(0.02)) == "refused"
        (model,) = await registry.newest(5)
        assert (model.state, await registry.current()) == ("refused", None)
        assert model.reason is not None
        assert "popularity alone has 0.1000" in model.reason

    async def test_nor_does_one_that_falls_behind_the_current_one(
        self, training: Training, registry: ModelRegistry
    ) -> None:
        await _register(training, "a", _metrics(0.4))
        assert await _register(training, "b", _metrics(0.2, current=0.3)) == "refused"
        current = await registry.current()
        assert current is not None
        assert current.version == "a"
        assert await _register(training, "c", _metrics(0.29, current=0.3)) == "current"

    async def test_nor_does_one_of_half_the_data(self, training: Training) -> None:
        await _register(training, "a", _metrics(0.4))
        assert await _register(training, "b", {**_metrics(0.4), "actions": 400.0}) == "refused"

    async def test_forced_it_answers_all_the_same_and_says_so(
        self, training: Training, registry: ModelRegistry
    ) -> None:
        assert await _register(training, "a", _metrics(0.01), force=True) == "current"
        current = await registry.current()
        assert current is not None
        assert current.reason is not None
        assert current.reason.startswith("forced, though")

    async def test_only_registered_it_waits(self, training: Training, registry: ModelRegistry) -> None:
        assert await _register(training, "a", _metrics(0.5), activate=False) == "candidate"
        assert await registry.current() is None

    async def test_again_it_says_the_same(self, training: Training) -> None:
        await _register(training, "a", _metrics(0.5))
        assert await _register(training, "a", _metrics(0.5)) == "current"


class TestSteps:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self._step = tmp_path / "step.py"

    async def _run(self, training: Training, environment: ActivityEnvironment | None = None) -> StepResult:
        environment = environment or ActivityEnvironment()
        return await environment.run(training.run_step, StepInput("v1", "learn", 24))

    async def test_the_result_is_what_the_process_says_last(self, training: Training) -> None:
        self._step.write_text('import sys; print(\'{"seconds": 2.5, "figures": {"arguments": %d}}\' % len(sys.argv))')
        assert await self._run(training) == StepResult(2.5, {"arguments": 6})

    async def test_what_it_says_before_is_seen_in_temporal(self, training: Training) -> None:
        self._step.write_text("print('half of it'); print('nearly all'); print('{\"seconds\": 1}')")
        said: list[str] = []
        environment = ActivityEnvironment()
        environment.on_heartbeat = lambda *details: said.extend(details)
        assert await self._run(training, environment) == StepResult(1)
        assert list(dict.fromkeys(said)) == ["half of it", "nearly all"]

    async def test_what_was_down_is_worth_another_try(self, training: Training) -> None:
        self._step.write_text(f"import sys; print('no route', file=sys.stderr); sys.exit({TRY_AGAIN})")
        with pytest.raises(ApplicationError, match="no route") as raised:
            await self._run(training)
        assert not raised.value.non_retryable

    async def test_what_is_broken_is_not(self, training: Training) -> None:
        self._step.write_text("raise ValueError('odd data')")
        with pytest.raises(ApplicationError, match="odd data") as raised:
            await self._run(training)
        assert raised.value.non_retryable

    @pytest.mark.parametrize(("attempt", "for_good"), [(1, False), (2, False), (3, True)])
    async def test_what_is_killed_again_and_again_is_not_tried_for_ever(
        self, training: Training, attempt: int, for_good: bool
    ) -> None:
        """As by a kernel that has no memory left."""
        self._step.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        with pytest.raises(ApplicationError) as raised:
            await self._run(training, environment)
        assert raised.value.non_retryable == for_good

    @pytest.mark.parametrize("deaf", [False, True])
    async def test_who_is_cancelled_leaves_no_process_and_no_files(
        self, training: Training, tmp_path: Path, deaf: bool
    ) -> None:
        """Deaf: one that does not listen to SIGTERM, as code that is not Python's may not for long."""
        began = tmp_path / "began"
        ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if deaf else ""
        self._step.write_text(
            f"import os, pathlib, signal, sys, time; {ignore}\n"
            "pathlib.Path(sys.argv[4], 'half.parquet').write_text('half')\n"
            f"new = pathlib.Path({str(began)!r} + '.new'); new.write_text(f'{{os.getpid()}} {{sys.argv[4]}}')\n"
            f"new.rename({str(began)!r}); time.sleep(600)"
        )
        environment = ActivityEnvironment()
        running = asyncio.create_task(self._run(training, environment))

        async def at_work() -> None:
            assert began.exists()

        await eventually(at_work)
        pid, scratch = began.read_text().split()
        assert psutil.pid_exists(int(pid))
        environment.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not psutil.pid_exists(int(pid))
        assert not Path(scratch).exists()
