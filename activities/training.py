"""The steps of training, each in a process of its own, and what becomes of the model."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from temporalio import activity

from activities.failures import heartbeats, translated_failures
from domain.errors import PermanentError, TransientError
from domain.training import (
    GATE_METRIC,
    REGISTER_MODEL,
    RUN_TRAINING_STEP,
    Registered,
    RegisterInput,
    StepInput,
    StepResult,
)
from store.models import ModelRegistry

_DOUBT = 2.0
"""Standard errors, at the most: a figure from 0 to 1 of mean m has a variance of m (1 - m) or less."""
_STOP_S = 10.0
_LAST_WORDS = 2_000
TRY_AGAIN = 75
"""Exit code of a step that a dependency kept from its work (EX_TEMPFAIL of sysexits.h)."""


class Training:
    """`command` starts a step's process: it takes the step's name, the model's version and the weeks to look back.

    In a process of its own a step takes no memory of the worker's when it is through, and no time of its fan-outs.
    """

    def __init__(self, registry: ModelRegistry, command: Sequence[str], locate: Callable[[str], str]) -> None:
        self._registry = registry
        self._command = command
        self._locate = locate

    def activities(self) -> list[Callable[..., Any]]:
        return [self.run_step, self.register]

    @activity.defn(name=RUN_TRAINING_STEP)
    async def run_step(self, work: StepInput) -> StepResult:
        """Run again, a step that was through answers from its mark.

        Raises:
            TransientError: something that it needs is down.
            PermanentError: it failed; with the end of what it said.

        """
        async with heartbeats(), _running([*self._command, work.step, work.version, str(work.weeks)]) as process:
            out, errors = await process.communicate()
            if process.returncode == 0:
                return msgspec.json.decode(out, type=StepResult)
            words = errors.decode(errors="replace")[-_LAST_WORDS:]
            if process.returncode in {TRY_AGAIN, -signal.SIGTERM, -signal.SIGKILL}:
                raise TransientError(f"{work.step} could not go on: {words}")
            raise PermanentError(f"{work.step} failed: {words}")

    @activity.defn(name=REGISTER_MODEL)
    async def register(self, work: RegisterInput) -> Registered:
        """Keeps the model, and makes it the current one unless it is worse."""
        with translated_failures():
            await self._registry.register(work.version, self._locate(work.version), work.fingerprint, work.metrics)
            current = await self._registry.current()
            before = None if current is None else current.version
            if current is not None and current.version == work.version:
                return Registered(work.version, "current")
            if not work.activate:
                return Registered(work.version, "candidate", "only registered, as asked", before)
            fault = _worse(work.metrics, {} if current is None else current.metrics)
            if fault is not None and not work.force:
                await self._registry.refuse(work.version, fault)
                return Registered(work.version, "refused", fault, before)
            await self._registry.activate(work.version)
            return Registered(work.version, "current", None, before)


def _worse(metrics: Mapping[str, float], current: Mapping[str, float]) -> str | None:
    """Why the gate refuses a model, or None: it has to do as well as popularity alone and as the current model.

    What may be chance in so few questions does not count against it.
    """
    ours = metrics[GATE_METRIC]
    doubt = _DOUBT * (ours * (1 - ours) / max(metrics["questions"], 1)) ** 0.5
    for whose, theirs in (
        ("popularity alone", metrics[f"popularity_{GATE_METRIC}"]),
        ("the current model", current.get(GATE_METRIC, 0.0)),
    ):
        if ours + doubt < theirs:
            return f"{GATE_METRIC} {ours:.4f} ± {doubt:.4f}, {whose} has {theirs:.4f}"
    return None


@contextlib.asynccontextmanager
async def _running(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that ends when we do not wait for it any more."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
