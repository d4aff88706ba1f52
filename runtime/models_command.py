"""`footfall train` and `footfall models`: the arguments; what is done is in runtime/training.py and models.py."""

import asyncio
from typing import Annotated

import typer

from domain.training import TrainInput
from runtime.commands import connected_settings, console, leave_after

app = typer.Typer(help="Models of the recommender: which there are, and which one answers.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def train(
    register_only: Annotated[bool, typer.Option("--register-only", help="Let the current model go on.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Switch even where the gate refuses it.")] = False,
    weeks: Annotated[int, typer.Option(min=1, max=24, help="How many weeks of interactions to learn from.")] = 24,
    follow: Annotated[bool, typer.Option("--follow", help="Show the training that is on; start none.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the training that is on; start none.")] = False,
    as_json: _Json = False,
) -> None:
    """Train a model from what is recorded, and let it answer if it passes the gate.

    Ctrl-C leaves the training going. Exit code 1: the gate refused it; 2: the training failed, or another one is on.
    """
    from runtime import training  # noqa: PLC0415  (each command loads what it needs)

    settings = connected_settings()
    if stop:
        leave_after(training.stop_training(settings, console))
    if follow:
        leave_after(training.follow_training(settings, console, as_json=as_json))
    request = TrainInput(not register_only, force, weeks)
    leave_after(training.train_model(settings, console, request, as_json=as_json))


@app.command("list")
def list_models(as_json: _Json = False) -> None:
    """The newest models, with what they were measured at."""
    from runtime.models import show_models  # noqa: PLC0415

    asyncio.run(show_models(connected_settings(), console, as_json=as_json))


@app.command("activate")
def activate_model(
    version: Annotated[str, typer.Argument(help="As `footfall models list` has it.")],
    reason: Annotated[str, typer.Option(help="Why; kept.")] = "by hand",
) -> None:
    """Let this model answer, without a failed request."""
    from runtime.models import activate  # noqa: PLC0415

    asyncio.run(activate(connected_settings(), console, version, reason))


@app.command("rollback")
def roll_back(reason: Annotated[str, typer.Option(help="Why; kept.")] = "rolled back by hand") -> None:
    """Let the model answer that did before the current one."""
    from runtime.models import roll_back_model  # noqa: PLC0415

    asyncio.run(roll_back_model(connected_settings(), console, reason))
