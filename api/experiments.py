"""GET /experiments: what is tried out on whom, and what comes of it."""

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from api.cursors import read_cursor, write_cursor
from api.experiment_schemas import ExperimentOut, ExperimentsOut
from api.problems import Problem, invalid
from api.responses import json_response, problems
from api.services import Services
from domain.experiment import NAME, Experiment, Metric, State
from domain.outcomes import MILLIONTHS, Tally
from recommend.experiments import ArmReport, Comparison, Estimate, Interval, report
from store.experiments import ExperimentStore, sums_by_arm

router = APIRouter(tags=["experiments"])


class _Place(NamedTuple):
    created_at: datetime
    name: str


@router.get("/experiments", response_model=ExperimentsOut, responses=problems(422, 503))
async def experiments(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=1_024)] = None,
    state: Annotated[State | None, Query()] = None,
) -> Response:
    """The experiments, newest first, without their figures."""
    services: Services = request.state.services
    after = None if cursor is None else _read_place(cursor)
    found = await services.experiments.newest(limit + 1, after, state)
    items = found[:limit]
    last = items[-1] if len(found) > limit else None
    next_cursor = None if last is None else write_cursor(_Place(last.created_at, last.name))
    return json_response({"items": [described(one) for one in items], "next_cursor": next_cursor})


@router.get("/experiments/{name}", response_model=ExperimentOut, responses=problems(404, 422, 503))
async def experiment(
    request: Request, name: Annotated[str, Path(pattern=f"^{NAME}$", description="The experiment's name.")]
) -> Response:
    """One experiment with its figures. They hold at whatever time and as often as they are looked at."""
    services: Services = request.state.services
    found = await figures(services.experiments, name)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no experiment {name!r}.")
    return json_response(found)


def _read_place(cursor: str) -> _Place:
    place = read_cursor(cursor, _Place)
    if place.created_at.tzinfo is None or "\0" in place.name:
        raise invalid("cursor", "not a cursor that this route gave", place="query")
    return place


async def figures(store: ExperimentStore, name: str) -> dict[str, Any] | None:
    """An experiment and its figures as the route answers them; None where there is none of that name."""
    found = await store.of_name(name)
    if found is None:
        return None
    days = await store.days(name)
    told = report(found.plan, sums_by_arm(days))
    return {
        **described(found),
        "arms": [_arm(one) for one in told.arms],
        "shares": {"p_value": told.shares_p_value, "mismatch": told.mismatch},
        "days": [{"day": day, "arm": arm, **_counts(tally, _DAILY)} for day, arm, tally in days],
    }


def described(one: Experiment) -> dict[str, Any]:
    """An experiment without its figures."""
    plan = one.plan
    return {
        "name": one.name,
        "state": one.state,
        "rollout": one.rollout,
        "metric": plan.metric,
        "alpha": plan.alpha,
        "currency": plan.currency,
        "created_at": one.created_at,
        "started_at": one.started_at,
        "stopped_at": one.stopped_at,
        "arms": [msgspec.structs.asdict(arm) for arm in plan.arms],
    }


_DAILY = ("accounts", "answers", "fallbacks", "clicks", "converted", "purchases", "attributed_purchases")
_TOTAL = (*_DAILY, "unpriced", "misassigned")
_AMOUNTS = ("revenue", "attributed_revenue")


def _counts(tally: Tally, names: Iterable[str]) -> dict[str, Any]:
    counts = {name: getattr(tally, name) for name in names}
    return counts | {name: getattr(tally, name) / MILLIONTHS for name in _AMOUNTS}


def _arm(one: ArmReport) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(one.arm),
        **_counts(one.tally, _TOTAL),
        **{_METRICS[metric]: _estimate(found) for metric, found in one.estimates.items()},
        "against_control": one.comparisons
        and {
            "verdict": one.verdict,
            **{_METRICS[metric]: _comparison(found) for metric, found in one.comparisons.items()},
        },
    }


_METRICS: dict[Metric, str] = {"ctr": "ctr", "conversion": "conversion", "revenue": "revenue_per_account"}


def _estimate(one: Estimate) -> dict[str, Any]:
    return {"value": one.value, **_bounds(one.interval)}


def _comparison(one: Comparison) -> dict[str, Any]:
    return {"difference": one.difference, "lift": one.lift, **_bounds(one.interval), "p_value": one.p_value}


def _bounds(interval: Interval | None) -> dict[str, float | None]:
    return {"low": None, "high": None} if interval is None else {"low": interval.low, "high": interval.high}
