"""Experiments: arms that accounts are divided among, and what each arm changes in their recommendations."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from domain.currency import CURRENCIES
from domain.errors import InvalidInputError

Metric = Literal["ctr", "conversion", "revenue"]
State = Literal["draft", "running", "stopped"]

PERCENT = 100

NAME = r"[a-z][a-z0-9_-]{0,63}"
"""Of experiments and arms: both stand in a header, as name:arm."""

_MOST_ARMS = 10
MOST_MODELS = 3
"""Of one plan: each is held in memory beside the current one while the experiment runs, and no two that name models
run at the same time."""

_name = re.compile(NAME, re.ASCII)


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    weight: Annotated[int, msgspec.Meta(ge=1, le=PERCENT)]
    """Percent of the experiment's accounts."""
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    """A version of the model; None: the one that all others get."""
    rules: dict[str, float] = {}
    """Business rules in place of those of the configuration, by their names there."""

    def __post_init__(self) -> None:
        _check_name(self.name)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an experiment is. It never changes: with other weights accounts would move from arm to arm."""

    name: str
    arms: Annotated[list[Arm], msgspec.Meta(min_length=1, max_length=_MOST_ARMS)]
    """The first one is the control, which the others are compared with. A single one is a gradual rollout."""
    metric: Metric = "conversion"
    """What is decided by. The others are shown beside it."""
    alpha: Annotated[float, msgspec.Meta(gt=0, le=0.2)] = 0.05
    """How likely it may be, over the experiment's whole life, that some arm is called different and is not."""
    currency: str | None = None
    """What revenue is counted in. Purchases in another one count, their amounts do not. None: the shop has only one,
    and amounts are added as they come."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len({arm.name for arm in self.arms}) != len(self.arms):
            raise ValueError("two arms have the same name")
        if sum(arm.weight for arm in self.arms) != PERCENT:
            raise ValueError(f"the weights of the arms must add up to {PERCENT}")
        if len(self.models) > MOST_MODELS:
            raise ValueError(f"the arms name more than {MOST_MODELS} models, all of which would be held in memory")
        if self.currency is not None and self.currency not in CURRENCIES:
            raise ValueError("currency: not an ISO 4217 currency code")

    @property
    def models(self) -> frozenset[str]:
        """The versions that its arms name."""
        return frozenset(arm.model for arm in self.arms if arm.model is not None)

    @property
    def changes(self) -> frozenset[str]:
        """The names of what its arms change."""
        rules = frozenset(name for arm in self.arms for name in arm.rules)
        return rules | {"model"} if self.models else rules


def _check_name(name: str) -> None:
    if _name.fullmatch(name) is None:
        raise ValueError(f"the name {name!r} is not of the form {NAME}")


@dataclass(frozen=True, slots=True)
class Experiment:
    plan: Plan
    rollout: int
    """Percent of all accounts that take part; it only grows. 0 before the start."""
    created_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def state(self) -> State:
        if self.started_at is None:
            return "draft"
        return "running" if self.stopped_at is None else "stopped"


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arm of an experiment that an account is in."""

    experiment: str
    arm: Arm

    def __str__(self) -> str:
        return f"{self.experiment}:{self.arm.name}"


def model_of(assignments: Iterable[Assignment]) -> str | None:
    """The version that an account's arms name. At most one does: no two running experiments change the same."""
    return next((one.arm.model for one in assignments if one.arm.model is not None), None)


def rules_of(assignments: Iterable[Assignment]) -> dict[str, float]:
    """The rules that an account's arms change."""
    return {name: value for one in assignments for name, value in one.arm.rules.items()}


def header_value(assignments: Sequence[Assignment]) -> str:
    """Of the header X-Experiment."""
    return ", ".join(map(str, assignments))


_decode_plan = msgspec.json.Decoder(Plan).decode
encode_plan = msgspec.json.Encoder().encode


def read_plan(document: str | bytes) -> Plan:
    """A plan from its JSON.

    Raises:
        InvalidInputError: it is not JSON, or no plan; the message says where.

    """
    try:
        return _decode_plan(document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the experiment's plan: {error}") from error
