"""The contract of training: what its workflow takes, runs step by step, and answers. It stays in histories."""

from dataclasses import dataclass, field

TRAIN_MODEL = "TrainModel"
WORKFLOW_ID = "train-model"
"""Always this one, so that Temporal lets no second training start beside a first."""

BEGIN_TRAINING = "begin_training"
RUN_TRAINING_STEP = "run_training_step"
REGISTER_MODEL = "register_model"
SWITCH_MODEL = "switch_model"

PROGRESS = "progress"

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


@dataclass(frozen=True, slots=True)
class TrainInput:
    activate: bool = True
    """False: only register, whatever the gate says."""
    force: bool = False
    """Switch to the model even where the gate refuses it."""
    weeks: int = 24


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
    """What became of a trained model."""

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
