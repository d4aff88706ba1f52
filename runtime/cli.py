"""The command line: `footfall up | api | worker | migrate | blocks | import | demo | settings`."""

import asyncio
import os
import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError
from rich.console import Console
from rich.table import Table

from domain.errors import FootfallError
from runtime.demo import demo
from runtime.importing.command import import_file
from runtime.instance import read_instance
from runtime.settings import Settings, describe_settings, environment_name

app = typer.Typer(
    name="footfall",
    help="Records what people do in a shop, once, and turns it into what the shop reads.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_console = Console()
_errors = Console(stderr=True)

_INVALID = 2
_INTERRUPTED = 130  # as shells have it


def _version(asked: bool) -> None:
    if asked:
        _console.print(f"footfall {installed_version('footfall')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    del version


@app.command()
def up() -> None:
    """Run everything on this machine: PostgreSQL, Temporal with its UI, worker and API, until Ctrl-C."""
    from runtime.logs import set_up_logging  # noqa: PLC0415  (each command loads what it needs)
    from runtime.up import Stack  # noqa: PLC0415

    settings = _settings()
    set_up_logging("warning")
    Stack(settings, _console).run()


@app.command()
def api() -> None:
    """Run one API process, with the PostgreSQL and Temporal of the settings or of a running `footfall up`."""
    from runtime import api_process  # noqa: PLC0415

    api_process.run(_connected_settings())


@app.command()
def worker() -> None:
    """Run one worker process, likewise."""
    from runtime import worker_process  # noqa: PLC0415

    worker_process.run(_connected_settings())


@app.command()
def migrate() -> None:
    """Bring the tables of the databases up to date."""
    from runtime.connections import migrate_stores, postgres_url  # noqa: PLC0415

    settings = _connected_settings()
    applied = asyncio.run(migrate_stores(settings, postgres_url(settings)))
    for name in applied:
        _console.print(f"applied {name}", highlight=False)
    if not applied:
        _console.print("nothing to apply: everything is up to date", highlight=False)


blocks = typer.Typer(help="The blocks that interactions are kept in.", no_args_is_help=True)
app.add_typer(blocks, name="blocks")


@blocks.command("inspect")
def inspect_blocks(account_id: Annotated[str, typer.Argument(help="As the app sent it.")]) -> None:
    """Show an account's blocks, weeks and sizes; the last column is how much larger the same would be as JSON."""
    from runtime.blocks import inspect  # noqa: PLC0415

    asyncio.run(inspect(_connected_settings(), account_id, _console))


@blocks.command("compact")
def compact_blocks(
    weeks: Annotated[int, typer.Option(min=0, max=24, help="How many weeks back to look; 0: this week only.")] = 24,
    events_per_s: Annotated[
        int | None, typer.Option(min=1, help="The pace. [default: FOOTFALL_COMPACT_EVENTS_PER_S of the worker]")
    ] = None,
) -> None:
    """Fold small blocks into sealed ones now, in a workflow; a worker does this every hour anyway."""
    from runtime.blocks import compact, print_result  # noqa: PLC0415

    settings = _connected_settings()
    done = asyncio.run(compact(settings, _console, weeks_back=weeks, events_a_second=events_per_s))
    print_result(done, _console)
    sys.stdout.flush()
    # The SDK's threads may outlive the interpreter and abort it (temporalio/sdk-python#300): it is left to nobody.
    os._exit(1 if done.unreadable else 0)


app.command("import")(import_file)
app.command()(demo)


@app.command("settings")
def show_settings() -> None:
    """List every setting: its environment variable, default and meaning."""
    table = Table("variable", "default", "meaning")
    for setting in describe_settings():
        table.add_row(setting.variable, setting.default, setting.meaning)
    _console.print(table)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for one in error.errors():
            _errors.print(f"{environment_name(str(one['loc'][0]))}: {one['msg']}", style="red", highlight=False)
        raise SystemExit(_INVALID) from None


def _connected_settings() -> Settings:
    """The settings, completed by what runs on the data folder."""
    settings = _settings()
    instance = read_instance(settings.data_dir)
    if instance is None:
        return settings
    found = {"postgres_url": SecretStr(instance.postgres_url), "temporal_address": instance.temporal_address}
    missing = {name: value for name, value in found.items() if getattr(settings, name) is None}
    return settings.model_copy(update=missing)


def main() -> None:
    try:
        app()
    except FootfallError as error:
        _errors.print(str(error), style="red", highlight=False, markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
