"""Trains a model step by step, registers it, and lets it answer where it passes the gate."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.training import (
        ACTIONS,
        COLLECT,
        JUDGE,
        LEAST_ACTIONS,
        PROGRESS,
        REGISTER_MODEL,
        RUN_TRAINING_STEP,
        STEPS,
        TIDY_MODELS,
        TRAIN_MODEL,
        VERSION_FORMAT,
        Registered,
        RegisterInput,
        StepDone,
        StepInput,
        StepResult,
        Tidied,
        TrainInput,
        TrainProgress,
    )
    from workflows import policies


@workflow.defn(name=TRAIN_MODEL)
class TrainModel:
    """Trains step by step.

    1. What former trainings left and nobody needs is removed: also what failed, since trainings come every night.
    2. The steps. One that was through is not done again: its files are in the run's folder, its result in here.
    3. The registry, which has the gate.
    """

    @workflow.init
    def __init__(self, request: TrainInput) -> None:
        self._request = request
        self._version = workflow.now().strftime(VERSION_FORMAT)
        self._step = ""
        self._done: list[StepDone] = []
        self._registered: Registered | None = None

    @workflow.run
    async def run(self, request: TrainInput) -> TrainProgress:
        self._tell("tidy")
        await workflow.execute_activity(TIDY_MODELS, result_type=Tidied, **policies.TIDY)
        for step in STEPS:
            self._tell(step)
            work = StepInput(self._version, step, request.weeks)
            result: StepResult = await workflow.execute_activity(
                RUN_TRAINING_STEP, work, result_type=StepResult, **policies.TRAINING
            )
            self._done.append(StepDone(step, result))
            if step == COLLECT and result.figures.get(ACTIONS, 0) < LEAST_ACTIONS:
                self._registered = Registered(self._version, "refused", "there is too little to learn from")
                self._tell("ended")
                return self.progress()
        self._tell("register")
        self._registered = await workflow.execute_activity(
            REGISTER_MODEL, self._to_register(), result_type=Registered, **policies.SHORT
        )
        self._tell("ended")
        return self.progress()

    @workflow.query(name=PROGRESS, description="Which step is under way, and what those before it found.")
    def progress(self) -> TrainProgress:
        return TrainProgress(self._version, self._step, list(self._done), self._registered)

    def _to_register(self) -> RegisterInput:
        results = {one.step: one.result for one in self._done}
        metrics = {ACTIONS: results[COLLECT].figures[ACTIONS], **results[JUDGE].figures}
        fingerprint = results[COLLECT].fingerprint or ""
        return RegisterInput(self._version, fingerprint, metrics, self._request.activate, self._request.force)

    def _tell(self, step: str) -> None:
        """Says in words what a person in the Temporal UI wants to know; costs no event of the history."""
        self._step = step
        lines = [f"**model {self._version}: {step}**"]
        for one in self._done:
            figures = ", ".join(f"{name} {value:g}" for name, value in one.result.figures.items())
            lines.append(f"{one.step}: {one.result.seconds:.1f} s; {figures}")
        if self._registered is not None:
            reason = f": {self._registered.reason}" if self._registered.reason else ""
            lines.append(f"**{self._registered.state}**{reason}")
        workflow.set_current_details("\n\n".join(lines))
