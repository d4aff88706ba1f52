"""`footfall experiments`: recommendations tried out on a part of the accounts, and what comes of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from domain.errors import InvalidInputError
from domain.experiment import PERCENT, Experiment, Plan, read_plan
from runtime.commands import connected_settings, console, errors
from runtime.rules import check_rules
from store.experiments import ExperimentStore
from store.models import ModelRegistry
from store.postgres import Pool

app = typer.Typer(help="Recommendations tried out on a part of the accounts.", no_args_is_help=True)

_T = TypeVar("_T")

_MOST_LISTED = 1_000
_METRICS = {"ctr": "ctr", "conversion": "conversion", "revenue": "revenue_per_account"}
_COUNTS = ("accounts", "answers", "fallbacks", "clicks", "purchases", "attributed_purchases")
_AMOUNTS = ("revenue", "attributed_revenue")
_ESTIMATES = {
    "ctr": "clicks an answer",
    "conversion": "conversion",
    "revenue_per_account": "revenue an account",
}

Name = Annotated[str, typer.Argument(help="The experiment's name.")]
Percent = Annotated[int, typer.Argument(min=1, max=PERCENT, help="Percent of all accounts.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.command("list")
def list_experiments(as_json: AsJson = False) -> None:
    """All experiments, the newest first."""
    found = _with_store(lambda store: store.newest(_MOST_LISTED))
    if as_json:
        from api.experiments import described  # noqa: PLC0415

        _print_json([described(one) for one in found])
    elif not found:
        console.print("there are no experiments")
    else:
        console.print(_list_table(found))


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """One experiment with its figures. Look as often as you like: they hold at every look."""
    from api.experiments import figures  # noqa: PLC0415

    found = _with_store(lambda store: figures(store, name))
    if found is None:
        errors.print(f"there is no experiment {name!r}", style="red", highlight=False)
        raise typer.Exit(1)
    if as_json:
        _print_json(found)
    else:
        _print_figures(found)


@app.command()
def create(
    plan: Annotated[Path, typer.Argument(help="JSON: name, arms with weights, metric, alpha, currency.")],
) -> None:
    """Make a draft of a plan. Nothing is assigned before `start`."""
    try:
        document = plan.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{plan}: {error.strerror}") from error
    made = read_plan(document)
    check_rules(made)
    _with_pool(lambda pool: _create(pool, made))
    console.print(f"{made.name} is a draft: `footfall experiments start {made.name}`", highlight=False)


@app.command()
def start(name: Name, percent: Percent = 5) -> None:
    """Assign so many percent of all accounts from now on."""
    _with_store(lambda store: store.start(name, percent))
    console.print(f"{name} is running, on {percent} % of the accounts", highlight=False)


@app.command()
def rollout(name: Name, percent: Percent) -> None:
    """Have more accounts take part. Those that do already stay in their arms."""
    _with_store(lambda store: store.roll_out(name, percent))
    console.print(f"{name} is running, on {percent} % of the accounts", highlight=False)


@app.command()
def stop(name: Name) -> None:
    """End it: everybody gets what is configured. There is no way back; the figures stay."""
    _with_store(lambda store: store.stop(name))
    console.print(f"{name} is stopped", highlight=False)


async def _create(pool: Pool, plan: Plan) -> None:
    unknown = plan.models - await ModelRegistry(pool).known(plan.models)
    if unknown:
        raise InvalidInputError(f"there is no model {', '.join(sorted(unknown))}: see `footfall models list`")
    await ExperimentStore(pool).create(plan)


def _with_store(work: Callable[[ExperimentStore], Awaitable[_T]]) -> _T:
    return _with_pool(lambda pool: work(ExperimentStore(pool)))


def _with_pool(work: Callable[[Pool], Awaitable[_T]]) -> _T:
    from runtime.connections import open_pool  # noqa: PLC0415

    async def run() -> _T:
        async with open_pool(connected_settings(), "footfall experiments", 1) as pool:
            return await work(pool)

    return asyncio.run(run())


def _list_table(found: list[Experiment]) -> Table:
    table = Table("experiment", "state", "accounts", "started", "stopped", "arms", "decided by")
    for one in found:
        arms = ", ".join(f"{arm.name} {arm.weight} %" for arm in one.plan.arms)
        times = ["" if moment is None else f"{moment:%Y-%m-%d %H:%M}" for moment in (one.started_at, one.stopped_at)]
        table.add_row(one.name, one.state, f"{one.rollout} %", *times, arms, one.plan.metric)
    return table


def _print_figures(found: Mapping[str, Any]) -> None:
    console.print(f"{found['name']} is {found['state']}, on {found['rollout']} % of the accounts", highlight=False)
    arms = found["arms"]
    table = Table("", *(arm["name"] for arm in arms))  # a column an arm: there are more figures than arms
    for name in _COUNTS:
        table.add_row(name.replace("_", " "), *(f"{arm[name]:,}" for arm in arms))
    for name in _AMOUNTS:
        table.add_row(name.replace("_", " "), *(f"{arm[name]:,.2f}" for arm in arms))
    for name, label in _ESTIMATES.items():
        table.add_row(label, *(_estimate(arm[name], share=name != "revenue_per_account") for arm in arms))
    console.print(table)
    for arm in arms:
        if arm["against_control"] is not None:
            _print_comparison(arm["name"], arm["against_control"], found)
    shares = found["shares"]
    if shares["mismatch"]:
        console.print(
            f"the arms do not have the shares that their weights say (p = {shares['p_value']:.2g}): "
            "something is wrong, trust none of this",
            style="red",
            highlight=False,
        )


def _print_comparison(name: str, found: Mapping[str, Any], experiment: Mapping[str, Any]) -> None:
    metric = _METRICS[experiment["metric"]]
    one = found[metric]
    difference = "nothing to compare yet" if one["difference"] is None else f"{one['difference']:+.4g}"
    lift = "" if one["lift"] is None else f", {one['lift']:+.1%}"
    within = "" if one["low"] is None else f", within {one['low']:+.4g} and {one['high']:+.4g}"
    p = f", p = {one['p_value']:.2g}; alpha is {experiment['alpha']:g}"
    console.print(f"{name}: {found['verdict']}; {metric} {difference}{lift}{within}{p}", highlight=False)


def _estimate(one: Mapping[str, float | None], *, share: bool) -> str:
    if one["value"] is None:
        return ""
    shown = [f"{value:.2%}" if share else f"{value:,.2f}" for value in one.values() if value is not None]
    value, *bounds = shown
    return f"{value} ({' to '.join(bounds)})" if bounds else value


def _print_json(value: object) -> None:
    from runtime.fan_outs import print_json  # noqa: PLC0415

    print_json(value)
