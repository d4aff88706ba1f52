"""Experiments for tests: a plan, accounts of a given arm, and what is recorded of them."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from api.assignments import exposure
from domain.experiment import Arm, Assignment, Plan
from domain.interaction import Interaction
from domain.recommendations import Answer
from recommend.experiments import numbers_of
from store.experiments import ExperimentStore
from store.postgres import create_pool
from tests.factories import interaction, now_us
from tests.stack import Stack

PLAN = Plan("fresher", [Arm("control", 50), Arm("new", 50, model="v2")], currency="EUR")
CONTROL, NEW = (Assignment(PLAN.name, arm) for arm in PLAN.arms)


def accounts_of(arm: str, *, rollout: int = 100, experiment: str = PLAN.name, prefix: str = "a") -> Iterator[str]:
    """Accounts of that arm of PLAN, or of a plan with other names, that take part at this rollout."""
    wanted = {"control": range(50), "new": range(50, 100)}[arm]
    for number in itertools.count():
        bucket, place = numbers_of(experiment, f"{prefix}{number}")
        if bucket < rollout and place in wanted:
            yield f"{prefix}{number}"


RANKED = Answer("ranked", [], "v2")
"""As the arm NEW says."""


@asynccontextmanager
async def experiment_store(stack: Stack) -> AsyncIterator[ExperimentStore]:
    """That of a running Footfall, for what a test needs and is not about."""
    async with create_pool(stack.database_url, name="test", size=1, timeout_s=30) as pool:
        yield ExperimentStore(pool)


def answered(
    account_id: str, *assignments: Assignment, occurred_at: int | None = None, answer: Answer = RANKED
) -> Interaction:
    """The account got an answer by these arms."""
    moment = now_us() if occurred_at is None else occurred_at
    return exposure(account_id, "r1", "homepage", assignments, moment, answer)


def clicked(account_id: str, **fields: Any) -> Interaction:
    return interaction(account_id=account_id, metadata='{"recommendation_id":"r1"}', **fields)


def bought(
    account_id: str, price: str | None = "10", *, currency: str = "EUR", of_answer: str | None = None, **fields: Any
) -> Interaction:
    optional = {"price": price, "recommendation_id": of_answer}
    known = {
        "currency": currency,
        "quantity": 2,
        **{name: value for name, value in optional.items() if value is not None},
    }
    metadata = msgspec.json.encode(known).decode()
    return interaction(account_id=account_id, event_type="purchase", metadata=metadata, **fields)
