"""The contract of training: what its workflow takes, runs step by step, and answers. It stays in histories."""

from dataclasses import dataclass, field

TRAIN_MODEL = "TrainModel"
WORKFLOW_ID = "train-model"
"""Always this one, so that Temporal lets no second training start beside a first."""
TRAIN_NIGHTLY = "TrainNightly"

TIDY_MODELS = "tidy_models"
RUN_TRAINING_STEP = "run_training_step"
REGISTER_MODEL = "register_model"

PROGRESS = "progress"

VERSION_FORMAT = "%Y%m%d-%H%M%S"
"""Of a model: the moment that its training began, in UTC."""

GATE_METRIC = "ndcg_at_10"
"""The metric that the gate goes by, of the step JUDGE."""
COLLECT = "collect"
JUDGE = "judge"
STEPS = (COLLECT, "learn", JUDGE, "finish")
"""In this order; each leaves its files in the run's folder, and a mark when it is through."""

ACTIONS = "actions"
"""How many were collected, among the figures of that step."""
LEAST_ACTIONS = 1_000
"""With fewer a model would say what popularity says, and worse."""


def behind(rival: str) -> str:
    """The figure of JUDGE that says by how much of GATE_METRIC the model is behind `popularity` or `current`."""
    return f"behind_{rival}"


def behind_error(rival: str) -> str:
    """Its standard error."""
    return f"behind_{rival}_error"


@dataclass(frozen=True, slots=True)
class TrainInput:
    activate: bool = True
    """False: only register, whatever the gate says."""
    force: bool = False
    """Switch to the model even where the gate refuses it."""
    weeks: int = 24


@dataclass(frozen=True, slots=True)
class Tidied:
    """What former trainings had left, and is gone now."""

    models: list[str] = field(default_factory=list)
    """Versions that can't answer any more."""
    runs: list[str] = field(default_factory=list)
    """Folders of trainings that came to no model."""


@dataclass(frozen=True, slots=True)
class StepInput:
    version: str
    step: str
    weeks: int


@dataclass(frozen=True, slots=True)
class StepResult:
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)
    """Of what it did, by name."""
    fingerprint: str | None = None
    """SHA-256 of the data, from the step that collects it."""


@dataclass(frozen=True, slots=True)
class RegisterInput:
    version: str
    fingerprint: str
    metrics: dict[str, float]
    activate: bool
    force: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a trained model; of one that there was too little for, `version` is in no registry."""

    version: str
    state: str
    reason: str | None = None
    """Why it does not answer, where it does not."""
    before: str | None = None
    """The model that answered until then."""


@dataclass(frozen=True, slots=True)
class StepDone:
    step: str
    result: StepResult


@dataclass(frozen=True, slots=True)
class TrainProgress:
    version: str
    step: str
    """What is under way, in a word."""
    done: list[StepDone] = field(default_factory=list)
    registered: Registered | None = None
