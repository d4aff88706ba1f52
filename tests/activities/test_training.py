"""What becomes of a trained model, in a real registry; and steps as processes that end in every way."""

import sys
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.training import TRY_AGAIN, Training
from domain.training import RegisterInput, StepInput, StepResult
from store.models import ModelRegistry
from store.postgres import Pool


def _metrics(ours: float, popularity: float = 0.1, questions: float = 1_000) -> dict[str, float]:
    return {"questions": questions, "ndcg_at_10": ours, "popularity_ndcg_at_10": popularity}


@pytest.fixture
def registry(pool: Pool) -> ModelRegistry:
    return ModelRegistry(pool)


@pytest.fixture
def training(registry: ModelRegistry, tmp_path: Path) -> Training:
    """Whose steps do what stands in the file `step.py`."""
    return Training(registry, [sys.executable, str(tmp_path / "step.py")], lambda version: f"/models/{version}")


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
        assert await _register(training, "b", _metrics(0.2)) == "refused"
        assert await _register(training, "c", _metrics(0.39)) == "current"

    async def test_what_may_be_chance_is_no_reason(self, training: Training) -> None:
        assert await _register(training, "a", _metrics(0.08, questions=40)) == "current"
        assert await _register(training, "b", _metrics(0.08, questions=4_000)) == "refused"

    async def test_forced_it_answers_all_the_same(self, training: Training) -> None:
        assert await _register(training, "a", _metrics(0.01), force=True) == "current"

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

    async def _run(self, training: Training) -> StepResult:
        return await ActivityEnvironment().run(training.run_step, StepInput("v1", "learn", 24))

    async def test_the_result_is_what_the_process_says(self, training: Training) -> None:
        self._step.write_text('import sys; print(\'{"seconds": 2.5, "figures": {"arguments": %d}}\' % len(sys.argv))')
        assert await self._run(training) == StepResult(2.5, {"arguments": 4})

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
