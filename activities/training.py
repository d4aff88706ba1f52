"""The steps of training, each in a process of its own, what becomes of the model, and what is removed after it."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from temporalio import activity

from activities.failures import heartbeats, translated_failures
from activities.metrics import TRAININGS
from domain.errors import PermanentError, TransientError
from domain.training import (
    REGISTER_MODEL,
    RUN_TRAINING_STEP,
    TIDY_MODELS,
    Registered,
    RegisterInput,
    StepInput,
    StepResult,
    Tidied,
)
from store.models import ModelRegistry
from training.gate import fault_of
from training.retention import SCRATCH, Retention

_STOP_S = 3.0
_LAST_WORDS = 2_000
_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""Threads of OpenMP that wait for others would turn in circles, on cores that others need. A product of a matrix and
a vector, of which a question takes some, is slower in two threads of BLAS than in one: they wait for each other.
"""
_KILLED_OFTEN = 3
"""Whoever was killed so often is not killed by chance: the machine has too little memory."""
TRY_AGAIN = 75
"""Exit code of a step that a dependency kept from its work (EX_TEMPFAIL of sysexits.h)."""


class Training:
    """`command` starts a step's process: it takes the step's name, the model's version, the weeks to look back, a
    folder for its scratch files and the id of this process, with which it ends. It says what it is at in lines, the
    last of which is its result as JSON.

    In a process of its own a step takes no memory of the worker's when it is through, and no time of its fan-outs.
    """

    def __init__(self, registry: ModelRegistry, command: Sequence[str], models_url: str) -> None:
        self._registry = registry
        self._command = command
        self._models_url = models_url

    def activities(self) -> list[Callable[..., Any]]:
        return [self.tidy, self.run_step, self.register]

    @activity.defn(name=TIDY_MODELS)
    async def tidy(self) -> Tidied:
        async with heartbeats():
            return await Retention(self._registry, self._models_url).tidy()

    @activity.defn(name=RUN_TRAINING_STEP)
    async def run_step(self, work: StepInput) -> StepResult:
        """Run again, a step that was through answers from its mark.

        Raises:
            TransientError: something that it needs is down.
            PermanentError: it failed; with the end of what it said.

        """
        async with heartbeats() as beat:
            with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
                arguments = [work.step, work.version, str(work.weeks), scratch, str(os.getpid())]
                async with _running([*self._command, *arguments]) as process:
                    out, errors = await asyncio.gather(_result(process.stdout, beat), _end_of(process.stderr))
                    code = await process.wait()
            if code == 0:
                return msgspec.json.decode(out, type=StepResult)
            raise _fault(work.step, code, errors)

    @activity.defn(name=REGISTER_MODEL)
    async def register(self, work: RegisterInput) -> Registered:
        """Keeps the model, and makes it the current one unless it is worse."""
        with translated_failures():
            registered = await self._register(work)
            TRAININGS.labels(registered.state).inc()
            return registered

    async def _register(self, work: RegisterInput) -> Registered:
        location = f"{self._models_url}/{work.version}"
        await self._registry.register(work.version, location, work.fingerprint, work.metrics)
        current = await self._registry.current()
        before = None if current is None else current.version
        if current is not None and current.version == work.version:
            return Registered(work.version, "current")
        if not work.activate:
            return Registered(work.version, "candidate", "only registered, as asked", before)
        fault = fault_of(work.metrics, {} if current is None else current.metrics)
        if fault is not None and not work.force:
            await self._registry.refuse(work.version, fault)
            return Registered(work.version, "refused", fault, before)
        await self._registry.activate(work.version, None if fault is None else f"forced, though {fault}")
        return Registered(work.version, "current", None, before)


def _fault(step: str, code: int, errors: str) -> TransientError | PermanentError:
    killed = code == -signal.SIGKILL
    if killed and activity.info().attempt >= _KILLED_OFTEN:
        return PermanentError(f"{step} was killed {_KILLED_OFTEN} times: has this machine enough memory? {errors}")
    if killed or code in {TRY_AGAIN, -signal.SIGTERM}:
        return TransientError(f"{step} could not go on: {errors or signal.Signals(-code).name}")
    return PermanentError(f"{step} failed with {code}: {errors}")


@contextlib.asynccontextmanager
async def _running(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that ends when we do not wait for it any more."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**_THREADS, **os.environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
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


async def _result(stream: asyncio.StreamReader | None, tell: Callable[[str], None]) -> bytes:
    """The last line of JSON, once there are no more; other lines are told."""
    assert stream is not None  # noqa: S101  (it is a pipe)
    result = b""
    async for line in stream:
        if line.startswith(b"{"):
            result = line
        else:
            tell(line.decode(errors="replace").strip())
    return result


async def _end_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None  # noqa: S101  (it is a pipe)
    kept = b""
    while some := await stream.read(_LAST_WORDS):
        kept = (kept + some)[-_LAST_WORDS:]
    return kept.decode(errors="replace").strip()
